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
    private readonly Entry[] _ring = new Entry[Capacity];
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
                var sequence = afterSequence + 1 + index;
                ref var entry = ref _ring[sequence % Capacity];
                destination[index] = new BlockEvent(sequence, entry.Kind, entry.Tenant, entry.Key.ToMemory(), entry.PayloadBytes, entry.Tiers, entry.IsContent);
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
        Append(kind, block.Tenant.Name, block.KeyBytes, block.PayloadBytes, block.Tiers, block.IsContent);

    internal void Append(BlockEventKind kind, string tenant, in KeyBytes key, long payloadBytes, BlockTiers tiers, bool isContent)
    {
        lock (_lock)
        {
            var sequence = _lastSequence + 1;
            ref var entry = ref _ring[sequence % Capacity];
            entry.Kind = kind;
            entry.Tiers = tiers;
            entry.Tenant = tenant;
            entry.Key = key;
            entry.PayloadBytes = payloadBytes;
            entry.IsContent = isContent;
            Interlocked.Exchange(ref _lastSequence, sequence);
        }

        if (!_grown.IsSet)
        {
            _grown.Set();
        }
    }

    /// <summary>What a <see cref="BlockEvent"/> is made of when somebody reads it, so that an event that nobody reads makes no object.</summary>
    private struct Entry
    {
        public BlockEventKind Kind;
        public BlockTiers Tiers;
        public string Tenant;
        public KeyBytes Key;
        public long PayloadBytes;
        public bool IsContent;
    }
}
