namespace KvMesh.Engine.Disk;

/// <summary>A pause after a failure, twice as long after each further one, so that a dead device is not asked without end. Any thread.</summary>
internal sealed class Backoff(TimeProvider time)
{
    private static readonly TimeSpan First = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(1);
    private readonly Lock _lock = new();
    private TimeSpan _length;
    private long _since;

    public bool IsActive
    {
        get
        {
            lock (_lock)
            {
                return _length > TimeSpan.Zero && time.GetElapsedTime(_since) < _length;
            }
        }
    }

    public void Extend()
    {
        lock (_lock)
        {
            _since = time.GetTimestamp();
            _length = _length == TimeSpan.Zero ? First : _length * 2 < Longest ? _length * 2 : Longest;
        }
    }

    public void End()
    {
        lock (_lock)
        {
            _length = TimeSpan.Zero;
        }
    }
}
