using KvMesh.Protocol.Keys;

namespace KvMesh.Engine.FarTiers.Holders;

/// <summary>
/// One block that a worker was asked for. It stays open for a while after its readers have left, so that bytes which come late are there for the next one.
/// Guarded by the gate of its tier, but for what says otherwise.
/// </summary>
public sealed class BlockAsk
{
    // Monitor, not Lock: readers wait on it.
    private readonly object _end = new();
    private volatile bool _isForgotten;
    private bool _hasEnded;
    private FetchOutcome _outcome;

    internal BlockAsk(ulong number, Holding holding, KeyDigest digest, byte[] key, int payloadBytes, long startedAt)
    {
        Number = number;
        Holding = holding;
        Digest = digest;
        Key = key;
        PayloadBytes = payloadBytes;
        StartedAt = startedAt;
    }

    /// <summary>What a hand-over names. Drawn at random.</summary>
    public ulong Number { get; }

    /// <summary>Bytes of the block, as they were announced.</summary>
    public int PayloadBytes { get; }

    internal Holding Holding { get; }

    internal KeyDigest Digest { get; }

    internal byte[] Key { get; }

    internal long StartedAt { get; }

    /// <summary>Time after <see cref="StartedAt"/> at which the last reader leaves.</summary>
    internal TimeSpan Limit { get; set; }

    internal bool IsBackground { get; set; }

    /// <summary>Whether the worker knows of it.</summary>
    internal bool IsTold { get; set; }

    /// <summary>Whether the block is being received.</summary>
    internal bool IsTaken { get; set; }

    /// <summary>Whether the block was removed since: what comes is not kept. Any thread.</summary>
    internal bool IsForgotten
    {
        get => _isForgotten;
        set => _isForgotten = value;
    }

    /// <summary>Any thread. Null: it has not ended within that time.</summary>
    internal FetchOutcome? WaitForEnd(TimeSpan limit)
    {
        lock (_end)
        {
            if (!_hasEnded)
            {
                Monitor.Wait(_end, limit);
            }

            return _hasEnded ? _outcome : null;
        }
    }

    internal void End(FetchOutcome outcome)
    {
        lock (_end)
        {
            (_hasEnded, _outcome) = (true, outcome);
            Monitor.PulseAll(_end);
        }
    }
}
