using KvMesh.Engine.Retention;
using KvMesh.Simulation.Traces;

namespace KvMesh.Simulation.Retention;

/// <summary>
/// One tier of so many blocks under a policy of the engine, which is told what a node would tell it: a prompt uses the longest prefix of it that is
/// here, once and tail first (<see cref="NotedUses"/>), and then what was computed comes in block by block from the head on, each after another has left for it where the tier is full. A block that
/// others follow is never given up, whatever the policy proposes; one whose followers have yet to come may be.
/// </summary>
internal sealed class SimulatedCache
{
    private static readonly Func<int, SimulatedBlock?, SimulatedBlock> NewSimulatedBlock = static (number, parent) => new SimulatedBlock(number, parent);

    private readonly ChainedTrace _trace;
    private readonly IRetentionPolicy<SimulatedBlock> _policy;
    private readonly SimulatedBlock?[] _places;
    private readonly Func<SimulatedBlock, VictimVerdict> _judge;
    private readonly int _capacity;
    private readonly NotedUses _uses;

    /// <param name="trace">The trace.</param>
    /// <param name="policy">What decides who leaves.</param>
    /// <param name="capacity">Blocks that the cache holds.</param>
    /// <param name="places">Where blocks are found by number, those that have left included: empty, one for each of the trace's. By default its own.</param>
    public SimulatedCache(ChainedTrace trace, IRetentionPolicy<SimulatedBlock> policy, int capacity, SimulatedBlock?[]? places = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(capacity);
        _trace = trace;
        _policy = policy;
        _capacity = capacity;
        _places = places ?? new SimulatedBlock?[trace.DistinctBlocks];
        _uses = new NotedUses(trace, _places, policy.Touch);
        _judge = static block => block.HasChildren ? VictimVerdict.HasChildren : VictimVerdict.Take;
    }

    /// <summary>What makes a block of its number and its parent, which need not be here.</summary>
    public Func<int, SimulatedBlock?, SimulatedBlock> NewBlock { get; init; } = NewSimulatedBlock;

    /// <summary>Blocks that leave at once when there is room for no other: a node makes a little more than it needs.</summary>
    public int Batch { get; init; } = 1;

    /// <summary>What the time of evictions is measured with; null: it is not.</summary>
    public TimeProvider? Time { get; init; }

    /// <summary>Time that passed from the search for a victim until it had left, in steps of <see cref="Time"/>.</summary>
    public long EvictingTicks { get; private set; }

    /// <summary>Blocks that are here.</summary>
    public int Count { get; private set; }

    public long Hits { get; private set; }

    public long Evictions { get; private set; }

    public void Serve(int request)
    {
        var chain = _trace.ChainOf(request);
        var time = _trace.Times[request];
        var held = 0;
        while (held < chain.Length && _places[chain[held]] is { IsHere: true })
        {
            held++;
        }

        _uses.Note(request, held);
        Hits += held;
        var parent = held == 0 ? null : _places[chain[held - 1]];
        foreach (var number in chain[held..])
        {
            // Behind what has left may be more, which is here still.
            var block = _places[number];
            if (block is not { IsHere: true })
            {
                _uses.Tell();
                MakeRoom();
                block = Admit(block, number, parent, time);
            }

            parent = block;
        }
    }

    private SimulatedBlock Admit(SimulatedBlock? known, int number, SimulatedBlock? parent, long time)
    {
        var block = known ?? (_places[number] = NewBlock(number, parent));
        if (known is not null)
        {
            block.Join();
        }

        block.IsHere = true;
        _policy.Add(block, _uses.NextNumber(time), lowInterest: false);
        Count++;
        return block;
    }

    private void MakeRoom()
    {
        if (Count < _capacity)
        {
            return;
        }

        for (var left = Batch; left > 0; left--)
        {
            Evict();
        }
    }

    private void Evict()
    {
        var start = Time?.GetTimestamp() ?? 0;
        var victim = _policy.NextVictim(_judge)
            ?? throw new InvalidOperationException($"{_policy.GetType().Name} gives up none of {Count} blocks, of which none is in use");
        _policy.Remove(victim);
        victim.Leave();
        victim.IsHere = false;
        Count--;
        Evictions++;
        EvictingTicks += (Time?.GetTimestamp() ?? 0) - start;
    }
}
