using KvMesh.Engine.Retention;

namespace KvMesh.Engine.Tests.Retention;

/// <summary>So many blocks under a policy, as an arena has them: requests use the prefix that is here and add the rest, then blocks leave.</summary>
internal sealed class ChainCache(IRetentionPolicy<ChainBlock> policy, int capacity)
{
    private readonly Dictionary<ulong, ChainBlock> _blocks = [];
    private long _now;

    public IReadOnlyDictionary<ulong, ChainBlock> Blocks => _blocks;

    public long Asked { get; private set; }

    public long Hits { get; private set; }

    /// <summary>Candidates that the policy proposed since the last victim.</summary>
    public int Proposed { get; private set; }

    public long AllProposed { get; private set; }

    public long Evictions { get; private set; }

    /// <summary>Serves one prompt. Returns the blocks that were here.</summary>
    public int Serve(ReadOnlySpan<ulong> chain, long afterTicks = TimeSpan.TicksPerSecond)
    {
        _now += Math.Max(1, afterTicks);
        var hits = 0;
        while (hits < chain.Length && _blocks.ContainsKey(chain[hits]))
        {
            hits++;
        }

        for (var index = hits - 1; index >= 0; index--)
        {
            policy.Touch(_blocks[chain[index]], _now);
        }

        var parent = hits > 0 ? _blocks[chain[hits - 1]] : null;
        foreach (var id in chain[hits..])
        {
            parent = Add(id, parent);
        }

        Asked += chain.Length;
        Hits += hits;
        while (_blocks.Count > capacity && Evict() is not null)
        {
        }

        return hits;
    }

    public ChainBlock Add(ulong id, ChainBlock? parent = null, bool lowInterest = false)
    {
        var block = new ChainBlock(id, parent);
        _blocks.Add(id, block);
        policy.Add(block, _now, lowInterest);
        return block;
    }

    public void Touch(ulong id) => policy.Touch(_blocks[id], ++_now);

    public void Remove(ulong id)
    {
        _blocks.Remove(id, out var block);
        block!.Leave();
        policy.Remove(block);
    }

    public ChainBlock? Evict()
    {
        Proposed = 0;
        if (policy.NextVictim(Judge) is not { } victim)
        {
            return null;
        }

        Assert.False(victim.IsPinned);
        Assert.False(victim.HasChildren);
        Remove(victim.Id);
        Evictions++;
        return victim;
    }

    private VictimVerdict Judge(ChainBlock candidate)
    {
        Proposed++;
        AllProposed++;
        Assert.True(_blocks.TryGetValue(candidate.Id, out var here) && ReferenceEquals(here, candidate), $"Block {candidate.Id} was proposed and is not here.");
        return candidate.HasChildren ? VictimVerdict.HasChildren : candidate.IsPinned ? VictimVerdict.InUse : VictimVerdict.Take;
    }
}
