using KvMesh.Engine.Retention;
using KvMesh.Simulation.Retention;
using KvMesh.Simulation.Traces;
using KvMesh.TestKit;

namespace KvMesh.Simulation.Tests.Retention;

public sealed class SimulatedCacheTests
{
    [Theory]
    [InlineData(300)]
    [InlineData(500)]
    [InlineData(3000)]
    public void Least_recently_used_hits_what_its_plain_model_hits(int capacity)
    {
        var requests = FleetTrace.Generate(new FleetTraceOptions { Requests = 600, AgentShare = 0.2, Seed = 3 });
        var model = new LruModel(capacity);
        requests.ForEach(model.Serve);

        Assert.Equal(model.HitBlocks, HitsOf(ChainedTrace.Of(requests), new LruPolicy<SimulatedBlock>(), capacity));
    }

    /// <summary>Chains that lose their tail first, by hand: 3 leaves for 9, and comes back when it is asked for again.</summary>
    [Fact]
    public void The_tail_of_the_oldest_request_goes_first()
    {
        var trace = ChainedTrace.Of([Prompt(0, 1, 2, 3), Prompt(1, 9), Prompt(2, 1, 2, 3)]);

        Assert.Equal(2, HitsOf(trace, new LruPolicy<SimulatedBlock>(), capacity: 3));
    }

    /// <summary>With room for two of three blocks, 2 leaves for 3, which is then a block without its parent: what is there of the next prompt is its first block.</summary>
    [Fact]
    public void A_prompt_that_is_longer_than_the_room_loses_blocks_while_it_comes_in()
    {
        var trace = ChainedTrace.Of([Prompt(0, 1, 2, 3), Prompt(1, 1, 2, 3)]);

        Assert.Equal(1, HitsOf(trace, new LruPolicy<SimulatedBlock>(), capacity: 2));
    }

    /// <summary>Prompts that are here whole are noted; of their common block the policy is told once, at its latest use, when a block comes in.</summary>
    [Fact]
    public void A_policy_is_told_of_uses_before_a_block_comes_in_and_once_of_each_block()
    {
        var trace = ChainedTrace.Of([Prompt(0, 1, 2), Prompt(1, 1, 3), Prompt(2, 1, 2), Prompt(3, 1, 3), Prompt(4, 9)]);
        var policy = new HeadFirst();

        HitsOf(trace, policy, capacity: 10);

        Assert.Equal([0, 1, 2, 0], policy.Touched);
    }

    [Fact]
    public void A_block_that_others_follow_stays_whatever_a_policy_proposes()
    {
        var trace = ChainedTrace.Of([Prompt(0, 1, 2, 3), Prompt(1, 7), Prompt(2, 1, 2, 3)]);
        var policy = new HeadFirst();

        // The policy offers 1 and 2 first; 3 has to go in their place, and of the last prompt two blocks are hits.
        Assert.Equal(2, HitsOf(trace, policy, capacity: 3));
        Assert.Contains(VictimVerdict.HasChildren, policy.Verdicts);
    }

    [Fact]
    public void A_policy_that_gives_up_nothing_is_told()
    {
        var trace = ChainedTrace.Of([Prompt(0, 1, 2)]);

        Assert.Throws<InvalidOperationException>(() => HitsOf(trace, new Miser(), capacity: 1));
    }

    private static long HitsOf(ChainedTrace trace, IRetentionPolicy<SimulatedBlock> policy, int capacity)
    {
        var cache = new SimulatedCache(trace, policy, capacity);
        for (var request = 0; request < trace.Requests; request++)
        {
            cache.Serve(request);
        }

        return cache.Hits;
    }

    private static PromptRequest Prompt(long at, params ulong[] blocks) => new(at, blocks, blocks.Length);

    /// <summary>Proposes blocks in the order in which they came.</summary>
    private sealed class HeadFirst : IRetentionPolicy<SimulatedBlock>
    {
        private readonly List<SimulatedBlock> _blocks = [];

        public List<VictimVerdict> Verdicts { get; } = [];

        public void Add(SimulatedBlock block, long request, bool lowInterest) => _blocks.Add(block);

        public List<int> Touched { get; } = [];

        public void Touch(SimulatedBlock block, long request) => Touched.Add(block.Number);

        public void Remove(SimulatedBlock block) => _blocks.Remove(block);

        public SimulatedBlock? NextVictim(Func<SimulatedBlock, VictimVerdict> judge) => _blocks.Find(block =>
        {
            Verdicts.Add(judge(block));
            return Verdicts[^1] == VictimVerdict.Take;
        });

        public IEnumerable<SimulatedBlock> LeastValuableFirst() => _blocks;

        public IEnumerable<SimulatedBlock> MostValuableFirst() => Enumerable.Reverse(_blocks);
    }

    private sealed class Miser : IRetentionPolicy<SimulatedBlock>
    {
        public void Add(SimulatedBlock block, long request, bool lowInterest)
        {
        }

        public void Touch(SimulatedBlock block, long request)
        {
        }

        public void Remove(SimulatedBlock block)
        {
        }

        public SimulatedBlock? NextVictim(Func<SimulatedBlock, VictimVerdict> judge) => null;

        public IEnumerable<SimulatedBlock> LeastValuableFirst() => [];

        public IEnumerable<SimulatedBlock> MostValuableFirst() => [];
    }
}
