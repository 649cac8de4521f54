using System.Diagnostics;
using KvMesh.Protocol.Keys;

namespace KvMesh.Engine.Progressive;

/// <summary>Everybody who writes one content by section now, and where its readers wait. Writers are an array that is swapped under the table's lock.</summary>
internal sealed class ProgressiveKey(KeyDigest digest)
{
    // Monitor, not Lock: readers wait on it. It guards nothing but the wait.
    private readonly object _gate = new();
    private ProgressiveWrite[] _writes = [];
    private int _version;
    private int _waiting;

    public KeyDigest Digest => digest;

    public ProgressiveWrite[] Writes
    {
        get => Volatile.Read(ref _writes);
        set => Volatile.Write(ref _writes, value);
    }

    /// <summary>Changes with everything that a reader may wait for. To be read before looking at the writers.</summary>
    public int Version => Volatile.Read(ref _version);

    /// <summary>A watermark moved, a write ended, or the content was sealed by anybody.</summary>
    public void Pulse()
    {
        // Whoever changes something looks at the count after the version is out, and a reader at the version after the count: one of both sees the other.
        Interlocked.Increment(ref _version);
        if (Volatile.Read(ref _waiting) > 0)
        {
            Wake();
        }
    }

    /// <summary>Waits until something happened after <paramref name="version"/>, the time is over, or the token is cancelled.</summary>
    public void Wait(int version, TimeSpan timeout, CancellationToken cancellationToken)
    {
        var startedAt = Stopwatch.GetTimestamp();
        using var cancelled = cancellationToken.UnsafeRegister(static key => ((ProgressiveKey)key!).Wake(), this);
        lock (_gate)
        {
            Interlocked.Increment(ref _waiting);
            try
            {
                for (var rest = timeout; Version == version && rest > TimeSpan.Zero && !cancellationToken.IsCancellationRequested; rest = timeout - Stopwatch.GetElapsedTime(startedAt))
                {
                    Monitor.Wait(_gate, rest);
                }
            }
            finally
            {
                Interlocked.Decrement(ref _waiting);
            }
        }
    }

    private void Wake()
    {
        lock (_gate)
        {
            Monitor.PulseAll(_gate);
        }
    }
}
