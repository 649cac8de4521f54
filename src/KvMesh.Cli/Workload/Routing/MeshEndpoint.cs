namespace KvMesh.Cli.Workload.Routing;

/// <summary>
/// What the engines of a workload know about one node together. A node that failed is left alone for a while that doubles with each
/// failure, and then one engine tries it again.
/// </summary>
internal sealed class MeshEndpoint(string address, TimeProvider time)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(8);

    private readonly Lock _lock = new();
    private TimeSpan _pause;
    private long _pausedAt;
    private long _failures;
    private long _diverted;

    public string Address => address;

    /// <summary>Calls that this node did not answer.</summary>
    public long Failures => Interlocked.Read(ref _failures);

    /// <summary>Requests that would have gone to this node, and went to another one because it did not answer.</summary>
    public long Diverted => Interlocked.Read(ref _diverted);

    /// <summary>The first failure, in words; null when there was none.</summary>
    public string? FirstFailure { get; private set; }

    /// <summary>Whether the last call failed.</summary>
    public bool IsDown
    {
        get
        {
            lock (_lock)
            {
                return _pause > TimeSpan.Zero;
            }
        }
    }

    /// <summary>Whether a caller may try this node now. Of those who ask while a pause ends, one is told yes, and the next pause begins.</summary>
    public bool TryUse()
    {
        lock (_lock)
        {
            if (_pause == TimeSpan.Zero)
            {
                return true;
            }

            if (time.GetElapsedTime(_pausedAt) < _pause)
            {
                return false;
            }

            _pausedAt = time.GetTimestamp();
            return true;
        }
    }

    public void Answered()
    {
        lock (_lock)
        {
            _pause = TimeSpan.Zero;
        }
    }

    public void Failed(string what)
    {
        Interlocked.Increment(ref _failures);
        lock (_lock)
        {
            FirstFailure ??= what;
            _pause = _pause == TimeSpan.Zero ? FirstPause : _pause < LongestPause / 2 ? _pause * 2 : LongestPause;
            _pausedAt = time.GetTimestamp();
        }
    }

    public void Divert() => Interlocked.Increment(ref _diverted);
}
