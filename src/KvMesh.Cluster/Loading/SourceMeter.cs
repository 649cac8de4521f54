namespace KvMesh.Cluster.Loading;

/// <summary>
/// What a source delivers, as far as it was seen: the time to the first byte, and the time of a byte after it. The first read tells more than any assumption; new
/// ones count for more than old ones; what was asked for and does not come tells that it is slow before it comes. What a source was slow at is forgiven in time: from one that seems slow little is fetched, and so nothing would tell that it is fast again.
/// Any thread.
/// </summary>
public sealed class SourceMeter(string name, SourceKind kind, double assumedBytesPerSecond, TimeSpan assumedLatency, TimeProvider time)
{
    /// <summary>A rate below what was assumed doubles in this time when nothing is measured.</summary>
    private static readonly TimeSpan Forgiveness = TimeSpan.FromSeconds(10);

    /// <summary>Smaller transfers say more about waits than about bandwidth, unless they took long: they count for latency alone.</summary>
    private const long WorthwhileBytes = 256 << 10;

    private static readonly TimeSpan WorthwhileTime = TimeSpan.FromMilliseconds(20);

    private const double NewShare = 0.2;

    private readonly Lock _lock = new();
    private double _secondsPerByte = 1 / assumedBytesPerSecond;
    private long _measured = time.GetTimestamp();
    private long _waiting = time.GetTimestamp();
    private double _latencySeconds = assumedLatency.TotalSeconds;
    private long _queuedBytes;
    private bool _isMeasured;

    /// <summary>The source as a plan takes it.</summary>
    public LoadSource Current
    {
        get
        {
            lock (_lock)
            {
                return new LoadSource(name, kind, 1 / Math.Max(Forgiven(), Waited()), TimeSpan.FromSeconds(_latencySeconds)) { QueuedBytes = _queuedBytes };
            }
        }
    }

    /// <summary>Whether anything told its bandwidth yet.</summary>
    public bool IsMeasured
    {
        get
        {
            lock (_lock)
            {
                return _isMeasured;
            }
        }
    }

    /// <summary>Bytes are asked for: they are in front of whoever asks next.</summary>
    public void Ask(long bytes)
    {
        lock (_lock)
        {
            _waiting = _queuedBytes == 0 ? time.GetTimestamp() : _waiting;
            _queuedBytes += bytes;
        }
    }

    /// <summary>What was asked for came, or will not come.</summary>
    /// <param name="asked">As it was given to <see cref="Ask"/>.</param>
    /// <param name="received">Bytes that came.</param>
    /// <param name="firstByte">From the request, or the end of the answer before it, to the first byte.</param>
    /// <param name="transfer">From the first byte to the last.</param>
    public void Answered(long asked, long received, TimeSpan firstByte, TimeSpan transfer)
    {
        lock (_lock)
        {
            _queuedBytes = Math.Max(0, _queuedBytes - asked);
            _waiting = time.GetTimestamp();
            _latencySeconds += NewShare * (Math.Max(0, firstByte.TotalSeconds) - _latencySeconds);
            if (received > 0 && transfer > TimeSpan.Zero && (received >= WorthwhileBytes || transfer >= WorthwhileTime))
            {
                _secondsPerByte = Forgiven();
                _secondsPerByte += (_isMeasured ? NewShare : 1) * ((transfer.TotalSeconds / received) - _secondsPerByte);
                _isMeasured = true;
                _measured = time.GetTimestamp();
            }
        }
    }

    /// <summary>Seconds of a byte if all that is waited for came now; it did not.</summary>
    private double Waited() =>
        _queuedBytes > 0 && time.GetElapsedTime(_waiting) is var waited && waited >= WorthwhileTime + TimeSpan.FromSeconds(_latencySeconds) ? waited.TotalSeconds / _queuedBytes : 0;

    private double Forgiven() => Math.Min(_secondsPerByte, Math.Max(1 / assumedBytesPerSecond, _secondsPerByte * Math.Pow(0.5, time.GetElapsedTime(_measured) / Forgiveness)));
}
