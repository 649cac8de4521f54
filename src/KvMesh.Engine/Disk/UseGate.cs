namespace KvMesh.Engine.Disk;

/// <summary>
/// Counts the calls that are using a file, without a lock. Once closed nobody enters any more, and after the last one has left the file may
/// be disposed. Whoever entered leaves exactly once.
/// </summary>
internal sealed class UseGate
{
    private const long Closed = 1L << 62;
    private long _state;

    /// <summary>Whether the gate is closed and everybody has left.</summary>
    public bool IsDrained => Volatile.Read(ref _state) == Closed;

    public bool TryEnter()
    {
        if ((Interlocked.Increment(ref _state) & Closed) == 0)
        {
            return true;
        }

        Leave();
        return false;
    }

    public void Leave() => Interlocked.Decrement(ref _state);

    public void Close() => Interlocked.Or(ref _state, Closed);
}
