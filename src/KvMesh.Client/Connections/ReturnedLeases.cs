namespace KvMesh.Client.Connections;

/// <summary>
/// Leases that callers gave back and that the node has not been told of. They travel with the next request of the connection, or a moment later
/// by themselves, so that giving back costs neither side a call of its own. Any thread.
/// </summary>
internal sealed class ReturnedLeases : IDisposable
{
    /// <summary>How long they wait for a request: so long that the timer costs a caller in a loop nothing, and short beside the leases.</summary>
    private static readonly TimeSpan Delay = TimeSpan.FromMilliseconds(25);

    /// <summary>Leases that wait for company at most: with each further so many they are sent.</summary>
    private const int MaxWaiting = 128;

    private readonly Lock _lock = new();
    private readonly Action<bool> _send;
    private readonly ITimer _timer;
    private readonly List<long> _ids = [];
    private int _count;
    private bool _isArmed;
    private bool _isClosed;

    /// <param name="time">Clock of the delay.</param>
    /// <param name="send">Takes what is here and sends it; told whether it may wait for its turn. If not, and it is another's, it calls <see cref="SendLater"/>.</param>
    public ReturnedLeases(TimeProvider time, Action<bool> send)
    {
        _send = send;
        _timer = time.CreateTimer(static leases => ((ReturnedLeases)leases!).OnTick(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Without the lock: what is added at this moment goes with the request after this one.</summary>
    public bool IsEmpty => Volatile.Read(ref _count) == 0;

    public void Add(long leaseId)
    {
        bool isFull;
        lock (_lock)
        {
            if (_isClosed)
            {
                return;
            }

            _ids.Add(leaseId);
            Volatile.Write(ref _count, _ids.Count);
            isFull = _ids.Count % MaxWaiting == 0;
            Arm_NeedsLock();
        }

        if (isFull)
        {
            _send(true);
        }
    }

    public long[] TakeAll()
    {
        lock (_lock)
        {
            if (_ids.Count == 0)
            {
                return [];
            }

            long[] taken = [.. _ids];
            _ids.Clear();
            Volatile.Write(ref _count, 0);
            return taken;
        }
    }

    /// <summary>Tries again after the delay.</summary>
    public void SendLater()
    {
        lock (_lock)
        {
            Arm_NeedsLock();
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _isClosed = true;
            _ids.Clear();
            _timer.Dispose();
        }
    }

    private void Arm_NeedsLock()
    {
        if (!_isArmed && !_isClosed)
        {
            _isArmed = true;
            _timer.Change(Delay, Timeout.InfiniteTimeSpan);
        }
    }

    private void OnTick()
    {
        lock (_lock)
        {
            _isArmed = false;
            if (_ids.Count == 0)
            {
                return;
            }
        }

        _send(false);
    }
}
