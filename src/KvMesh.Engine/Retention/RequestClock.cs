namespace KvMesh.Engine.Retention;

/// <summary>
/// Numbers requests in order of time. The numbers are UTC ticks, so that an order survives a restart, and never go back when
/// the wall clock does.
/// </summary>
public sealed class RequestClock(TimeProvider time)
{
    private long _last;

    public long Next()
    {
        var now = time.GetUtcNow().UtcTicks;
        while (true)
        {
            var last = Volatile.Read(ref _last);
            var next = Math.Max(now, last + 1);
            if (Interlocked.CompareExchange(ref _last, next, last) == last)
            {
                return next;
            }
        }
    }

    /// <summary>Continues after the numbers of an earlier process.</summary>
    public void StartAfter(long request) => _last = Math.Max(_last, request);
}
