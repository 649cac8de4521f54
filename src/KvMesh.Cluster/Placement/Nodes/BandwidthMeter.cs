namespace KvMesh.Cluster.Placement.Nodes;

/// <summary>
/// What this node's network carries, as far as it was seen: inward while orders pull, which they do as fast as they can, outward from what others were given
/// while several were served at a time. Any thread.
/// </summary>
/// <param name="served">Bytes that others were given, and the time for which they were sent, added up over all that were sent at a time.</param>
/// <param name="assumedBytesPerSecond">What it is taken for before that.</param>
public sealed class BandwidthMeter(Func<(long Bytes, TimeSpan Time)> served, long assumedBytesPerSecond, TimeProvider time)
{
    /// <summary>Fewer bytes say more about waits than about the network.</summary>
    private const long WorthwhileBytes = 16 << 20;

    /// <summary>
    /// So many readers must have been served at a time, on average, before a rate below the one that is known counts: a single slow reader says more about itself
    /// than about this node.
    /// </summary>
    private const double PressingReaders = 1.5;

    private const double NewShare = 0.3;
    private const double KeptPerLook = 0.99;

    private static readonly TimeSpan ShortestSpan = TimeSpan.FromMilliseconds(200);

    private readonly Lock _lock = new();
    private double _in;
    private double _out = assumedBytesPerSecond;
    private double _outNow;
    private (long Bytes, TimeSpan Time) _servedBefore = served();
    private long _measuredAt = time.GetTimestamp();
    private long _pullingSince;
    private long _pulled;

    public long InBytesPerSecond
    {
        get
        {
            lock (_lock)
            {
                return (long)(_in > 0 ? _in : assumedBytesPerSecond);
            }
        }
    }

    /// <summary>A higher rate than the one that is known counts at once, a lower one when readers pressed; without either it fades toward what is assumed.</summary>
    public long OutBytesPerSecond
    {
        get
        {
            lock (_lock)
            {
                return (long)_out;
            }
        }
    }

    /// <summary>Share of the outward bandwidth that is in use, between the last two looks.</summary>
    public double Look()
    {
        lock (_lock)
        {
            var elapsed = time.GetElapsedTime(_measuredAt);
            if (elapsed >= ShortestSpan)
            {
                var now = served();
                LearnOut_NeedsLock(now.Bytes - _servedBefore.Bytes, (now.Time - _servedBefore.Time) / elapsed, elapsed);
                (_servedBefore, _measuredAt) = (now, time.GetTimestamp());
            }

            return Math.Clamp(_outNow / _out, 0, 1);
        }
    }

    /// <summary>A pull of orders begins, where none was under way: what comes from now on says what the network carries.</summary>
    public void BeginPulling()
    {
        lock (_lock)
        {
            (_pullingSince, _pulled) = (time.GetTimestamp(), 0);
        }
    }

    /// <summary>Bytes came while orders pulled.</summary>
    /// <param name="isLast">Nothing is under way any more.</param>
    public void NotePulled(long bytes, bool isLast)
    {
        lock (_lock)
        {
            _pulled += bytes;
            var elapsed = time.GetElapsedTime(_pullingSince);
            if (_pulled < WorthwhileBytes || elapsed < ShortestSpan)
            {
                return;
            }

            if (isLast || elapsed >= ShortestSpan * 5)
            {
                var rate = _pulled / elapsed.TotalSeconds;
                _in = _in > 0 ? (_in * (1 - NewShare)) + (rate * NewShare) : rate;
                (_pullingSince, _pulled) = (time.GetTimestamp(), 0);
            }
        }
    }

    private void LearnOut_NeedsLock(long bytes, double readers, TimeSpan elapsed)
    {
        _outNow = bytes / elapsed.TotalSeconds;
        if (_outNow >= _out)
        {
            _out = _outNow;
        }
        else if (bytes >= WorthwhileBytes && readers >= PressingReaders)
        {
            _out = (_out * (1 - NewShare)) + (_outNow * NewShare);
        }
        else
        {
            _out = assumedBytesPerSecond + ((_out - assumedBytesPerSecond) * KeptPerLook);
        }
    }
}
