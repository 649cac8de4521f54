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
    private int _count;

    public SimulatedCache(ChainedTrace trace, IRetentionPolicy<SimulatedBlock> policy, int capacity)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(capacity);
        _trace = trace;
        _policy = policy;
        _capacity = capacity;
        _resident = new SimulatedBlock?[trace.DistinctBlocks];
        _judge = static block => block.HasChildren ? VictimVerdict.HasChildren : VictimVerdict.Take;
    }

    public long Hits { get; private set; }

    public long Evictions { get; private set; }

    public void Serve(int request)
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
            _count++;
            parent = block;
        }

        MakeRoom();
    }

    private void MakeRoom()
    {
        while (_count > _capacity)
        {
            var victim = _policy.NextVictim(_judge)
                ?? throw new InvalidOperationException($"{_policy.GetType().Name} gives up none of {_count} blocks, of which none is in use");
            _policy.Remove(victim);
            victim.Leave();
            _resident[victim.Number] = null;
            _count--;
            Evictions++;
        }
    }
}
