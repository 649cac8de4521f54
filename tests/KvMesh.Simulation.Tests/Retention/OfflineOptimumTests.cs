using KvMesh.Simulation.Retention;
using KvMesh.Simulation.Traces;

namespace KvMesh.Simulation.Tests.Retention;

public sealed class OfflineOptimumTests
{
    /// <summary>By hand: after the first request 1 is used next by the third and 2 by the fifth, after the second 3 by the fourth.</summary>
    [Theory]
    [InlineData(1, 2)] // 1 for the third and again for the fifth; 3 is passed by.
    [InlineData(2, 3)] // 2 goes for 3, which is hit between the two.
    [InlineData(3, 4)] // 2 can stay too.
    [InlineData(9, 4)]
    public void Keeps_what_is_used_again_soonest(int capacity, long hits)
    {
        Assert.Equal(hits, HitsOf(Trace([1, 2], [3], [1], [3], [1, 2]), capacity));
    }

    [Fact]
    public void Passes_by_what_is_never_used_again()
    {
        var trace = Trace([1], [2], [3], [4], [1]);

        Assert.Equal(1, HitsOf(trace, capacity: 1));
    }

    /// <summary>
    /// Against every choice there is: all sets that a cache might keep after each request, with holes or without, where a hit needs the whole prefix.
    /// </summary>
    [Fact]
    public void No_choice_at_all_hits_more_on_tiny_traces()
    {
        var random = new Random(7);
        for (var run = 0; run < 400; run++)
        {
            var trace = TinyTrace(random);
            Assert.InRange(trace.DistinctBlocks, 1, 14);
            for (var capacity = 1; capacity <= 4; capacity++)
            {
                Assert.True(BestOfAll(trace, capacity) == HitsOf(trace, capacity), $"run {run}, capacity {capacity}");
            }
        }
    }

    private static ChainedTrace TinyTrace(Random random)
    {
        // Chains in a tree of two children a block and three levels below one of two heads.
        var requests = new List<ulong[]>();
        for (var request = random.Next(2, 8); request > 0; request--)
        {
            ulong path = (ulong)random.Next(1, 3);
            var chain = new List<ulong> { path };
            for (var depth = random.Next(0, 3); depth > 0; depth--)
            {
                chain.Add(path = (path * 10) + (ulong)random.Next(1, 3));
            }

            requests.Add([.. chain]);
        }

        return Trace([.. requests]);
    }

    private static long BestOfAll(ChainedTrace trace, int capacity)
    {
        var best = new Dictionary<int, long> { [0] = 0 };
        for (var request = 0; request < trace.Requests; request++)
        {
            var chain = trace.ChainOf(request).ToArray();
            var asked = chain.Aggregate(0, (set, block) => set | (1 << block));
            var next = new Dictionary<int, long>();
            foreach (var (kept, hits) in best)
            {
                var after = hits + chain.TakeWhile(block => (kept & (1 << block)) != 0).Count();
                var candidates = kept | asked;
                for (var subset = candidates; ; subset = (subset - 1) & candidates)
                {
                    if (int.PopCount(subset) <= capacity && next.GetValueOrDefault(subset, -1) < after)
                    {
                        next[subset] = after;
                    }

                    if (subset == 0)
                    {
                        break;
                    }
                }
            }

            best = next;
        }

        return best.Values.Max();
    }

    private static long HitsOf(ChainedTrace trace, int capacity)
    {
        var optimum = new OfflineOptimum(trace, OfflineOptimum.NextUses(trace), capacity);
        for (var request = 0; request < trace.Requests; request++)
        {
            optimum.Serve(request);
        }

        return optimum.Hits;
    }

    private static ChainedTrace Trace(params ulong[][] chains) =>
        ChainedTrace.Of([.. chains.Select((chain, index) => new PromptRequest(index * 1000, chain, chain.Length))]);
}
