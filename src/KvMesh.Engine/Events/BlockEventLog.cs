using KvMesh.Engine.Blocks;

namespace KvMesh.Engine.Events;

/// <summary>
/// The last events of this node, in order. Writers never wait: a watcher that falls more than <see cref="Capacity"/> behind
/// finds a gap and must scan.
/// </summary>
public sealed class BlockEventLog : IDisposable
{
    /// <summary>Events kept for watchers.</summary>
    public const int Capacity = 1 << 16;

    private readonly Lock _lock = new();
    private readonly BlockEvent[] _ring = new BlockEvent[Capacity];
    private readonly ManualResetEventSlim _grown = new();
    private long _lastSequence;

    /// <summary>Sequence number of the newest event; 0 before the first.</summary>
    public long LastSequence => Interlocked.Read(ref _lastSequence);

    /// <summary>
    /// Copies the events after <paramref name="afterSequence"/> into <paramref name="destination"/>. Returns how many, or -1 when some of
    /// them are already gone.
    /// </summary>
    public int Read(long afterSequence, Span<BlockEvent> destination)
    {
        lock (_lock)
        {
            if (afterSequence < _lastSequence - Capacity || afterSequence > _lastSequence)
            {
                return -1;
            }

            var count = (int)Math.Min(destination.Length, _lastSequence - afterSequence);
            for (var index = 0; index < count; index++)
            {
                destination[index] = _ring[(afterSequence + 1 + index) % Capacity];
            }

            return count;
        }
    }

    /// <summary>Waits for an event after <paramref name="afterSequence"/>. False when there is none within <paramref name="timeout"/>.</summary>
    public bool Wait(long afterSequence, TimeSpan timeout, CancellationToken cancellationToken)
    {
        if (LastSequence > afterSequence)
        {
            return true;
        }

        _grown.Reset();
        return LastSequence > afterSequence || (_grown.Wait(timeout, cancellationToken) && LastSequence > afterSequence);
    }

    public void Dispose() => _grown.Dispose();

    internal void Append(BlockEventKind kind, Block block) =>
        Append(kind, block.Tenant.Name, block.Key, block.PayloadBytes, block.Tiers);

    internal void Append(BlockEventKind kind, string tenant, ReadOnlyMemory<byte> key, long payloadBytes, BlockTiers tiers)
    {
        lock (_lock)
        {
            var sequence = _lastSequence + 1;
            _ring[sequence % Capacity] = new BlockEvent(sequence, kind, tenant, key, payloadBytes, tiers);
            Interlocked.Exchange(ref _lastSequence, sequence);
        }

        if (!_grown.IsSet)
        {
            _grown.Set();
        }
    }
}
