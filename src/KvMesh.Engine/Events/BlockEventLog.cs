using System.Diagnostics;
using KvMesh.Engine.Blocks;

namespace KvMesh.Engine.Events;

/// <summary>
/// The last events of this node, in order. Writers never wait: a watcher that falls more than <see cref="Capacity"/> behind
/// finds a gap and must scan.
/// </summary>
public sealed class BlockEventLog
{
    /// <summary>Events kept for watchers.</summary>
    public const int Capacity = 1 << 16;

    private readonly Lock _lock = new();
    private readonly Entry[] _ring = new Entry[Capacity];

    /// <summary>Who waits sleeps on this; each looks at the log for itself when it wakes.</summary>
    private readonly object _wake = new();
    private int _waiting;
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

    /// <summary>
    /// Waits for an event after <paramref name="afterSequence"/>. False when there is none within <paramref name="timeout"/>, and when the
    /// wait is cancelled: a watcher that need not wait any longer is no failure.
    /// </summary>
    public bool Wait(long afterSequence, TimeSpan timeout, CancellationToken cancellationToken)
    {
        if (LastSequence > afterSequence)
        {
            return true;
        }

        var startedAt = Stopwatch.GetTimestamp();
        using var cancelled = cancellationToken.UnsafeRegister(static log => ((BlockEventLog)log!).WakeAll(), this);
        lock (_wake)
        {
            // Whoever appends looks at this count after the sequence is out, and we at the sequence after the count: one of both sees the other.
            Interlocked.Increment(ref _waiting);
            try
            {
                var rest = timeout;
                while (LastSequence <= afterSequence && rest > TimeSpan.Zero && !cancellationToken.IsCancellationRequested)
                {
                    Monitor.Wait(_wake, rest);
                    rest = timeout - Stopwatch.GetElapsedTime(startedAt);
                }
            }
            finally
            {
                Interlocked.Decrement(ref _waiting);
            }
        }

        return LastSequence > afterSequence;
    }

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

        if (Volatile.Read(ref _waiting) > 0)
        {
            WakeAll();
        }
    }

    private void WakeAll()
    {
        lock (_wake)
        {
            Monitor.PulseAll(_wake);
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
