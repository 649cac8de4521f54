using KvMesh.Engine.Retention;
using KvMesh.Simulation.Traces;

namespace KvMesh.Simulation.Retention;

/// <summary>
/// One tier of so many blocks under a policy of the engine, which is told what a node would tell it: a prompt uses the longest prefix of it that is
/// here, once and tail first, then what was computed comes in from the head on, and then blocks leave until the rest fits. A block that others
/// follow is never given up, whatever the policy proposes.
/// </summary>
internal sealed class SimulatedCache
{
    private readonly ChainedTrace _trace;
    private readonly IRetentionPolicy<SimulatedBlock> _policy;
    private readonly SimulatedBlock?[] _resident;
    private readonly Func<SimulatedBlock, VictimVerdict> _judge;
    private readonly int _capacity;

    /// <param name="trace">The trace.</param>
    /// <param name="policy">What decides who leaves.</param>
    /// <param name="capacity">Blocks that the cache holds.</param>
    /// <param name="places">Where blocks are found by number: empty, one for each of the trace's. By default its own.</param>
    public SimulatedCache(ChainedTrace trace, IRetentionPolicy<SimulatedBlock> policy, int capacity, SimulatedBlock?[]? places = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(capacity);
        _trace = trace;
        _policy = policy;
        _capacity = capacity;
        _resident = places ?? new SimulatedBlock?[trace.DistinctBlocks];
        _judge = static block => block.HasChildren ? VictimVerdict.HasChildren : VictimVerdict.Take;
    }

    /// <summary>Blocks that are here.</summary>
    public int Count { get; private set; }

    public long Hits { get; private set; }

    public long Evictions { get; private set; }

    public void Serve(int request)
    {
        Touch(request);
        MakeRoom();
    }

    /// <summary>Uses what is here and lets in the rest, beyond the capacity.</summary>
    public void Touch(int request)
    {
        var chain = _trace.ChainOf(request);
        var time = _trace.Times[request];
        var held = 0;
        while (held < chain.Length && _resident[chain[held]] is not null)
        {
            held++;
        }

        for (var index = held - 1; index >= 0; index--)
        {
            _policy.Touch(_resident[chain[index]]!, time);
        }

        Hits += held;
        var parent = held == 0 ? null : _resident[chain[held - 1]];
        foreach (var number in chain[held..])
        {
            var block = new SimulatedBlock(number, parent);
            _resident[number] = block;
            _policy.Add(block, time, lowInterest: false);
            Count++;
            parent = block;
        }
    }

    /// <summary>Blocks leave until no more are here than the cache holds.</summary>
    public void MakeRoom()
    {
        while (Count > _capacity)
        {
            var victim = _policy.NextVictim(_judge)
                ?? throw new InvalidOperationException($"{_policy.GetType().Name} gives up none of {Count} blocks, of which none is in use");
            _policy.Remove(victim);
            victim.Leave();
            _resident[victim.Number] = null;
            Count--;
            Evictions++;
        }
    }
}
