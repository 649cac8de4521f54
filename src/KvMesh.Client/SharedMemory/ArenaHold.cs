namespace KvMesh.Client.SharedMemory;

/// <summary>
/// Keeps a node's arena mapped, for who hands its address to a device. The bytes are read-only, and another process changes them: only those of a
/// leased block mean anything. Disposing lets the mapping go.
/// </summary>
public sealed class ArenaHold : IDisposable
{
    private readonly ArenaView _arena;
    private int _isDisposed;

    internal ArenaHold(ArenaView arena)
    {
        _arena = arena;
        (Start, Bytes) = arena.Range;
    }

    /// <summary>Where the mapping begins in this process, at the beginning of a page.</summary>
    public nint Start { get; }

    /// <summary>Bytes mapped.</summary>
    public long Bytes { get; }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) == 0)
        {
            _arena.LetGo();
        }
    }
}
