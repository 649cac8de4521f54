namespace KvMesh.Engine.Events;

/// <summary>
/// The last events of this node, in order. Writers never wait: a watcher that falls more than <see cref="Capacity"/> behind
/// finds a gap and must scan.
/// </summary>
public sealed class BlockEventLog
{
    /// <summary>Events kept for watchers.</summary>
    public const int Capacity = 1 << 16;

    /// <summary>Sequence number of the newest event; 0 before the first.</summary>
    public long LastSequence => throw new NotImplementedException();

    /// <summary>
    /// Copies the events after <paramref name="afterSequence"/> into <paramref name="destination"/>. Returns how many, or -1 when some of
    /// them are already gone.
    /// </summary>
    public int Read(long afterSequence, Span<BlockEvent> destination) => throw new NotImplementedException();

    /// <summary>Completes when there is an event after <paramref name="afterSequence"/>, or with false after <paramref name="timeout"/>.</summary>
    public bool Wait(long afterSequence, TimeSpan timeout, CancellationToken cancellationToken) => throw new NotImplementedException();
}
