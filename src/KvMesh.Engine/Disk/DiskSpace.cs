namespace KvMesh.Engine.Disk;

/// <summary>
/// How much space the files of the tier take, and how much they may: the capacity, or less for a while after the file system was full. Any thread.
/// </summary>
internal sealed class DiskSpace(DiskContext context)
{
    private static readonly TimeSpan LowLimitTime = TimeSpan.FromMinutes(1);
    private readonly Lock _lock = new();
    private long _usedBytes;
    private long _limitBytes = context.Options.CapacityBytes;
    private long _limitSince;

    public long UsedBytes => Interlocked.Read(ref _usedBytes);

    public long LimitBytes
    {
        get
        {
            lock (_lock)
            {
                if (_limitBytes < context.Options.CapacityBytes && context.Time.GetElapsedTime(_limitSince) >= LowLimitTime)
                {
                    _limitBytes = context.Options.CapacityBytes;
                }

                return _limitBytes;
            }
        }
    }

    /// <summary>Takes space for a file. False when all files would take more than <paramref name="limit"/> then.</summary>
    public bool TryTake(long bytes, long limit)
    {
        if (Interlocked.Add(ref _usedBytes, bytes) <= limit)
        {
            return true;
        }

        Add(-bytes);
        return false;
    }

    /// <summary>A file is there already, or has become shorter.</summary>
    public void Add(long bytes) => Interlocked.Add(ref _usedBytes, bytes);

    /// <summary>The file system had no more room: what is used now is all there is, for a while.</summary>
    public void NoteFull()
    {
        lock (_lock)
        {
            _limitBytes = Math.Min(_limitBytes, UsedBytes);
            _limitSince = context.Time.GetTimestamp();
        }
    }
}
