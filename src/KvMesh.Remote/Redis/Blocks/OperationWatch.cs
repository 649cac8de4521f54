using System.Diagnostics;

namespace KvMesh.Remote.Redis.Blocks;

/// <summary>
/// Holds deadlines of whole operations: a thread that ends connections which are past theirs. A timeout of the socket alone would not do,
/// because a server that sends or takes one byte a second never makes a single call wait long. Sleeps while nothing runs.
/// </summary>
internal sealed class OperationWatch : IDisposable
{
    /// <summary>How late a deadline may be noticed.</summary>
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(5);

    private readonly Lock _lock = new();
    private readonly List<RedisConnection> _running = [];
    private readonly AutoResetEvent _signal = new(initialState: false);
    private readonly Thread _thread;
    private volatile bool _isStopping;

    public OperationWatch()
    {
        _thread = new Thread(Run) { Name = "kvmesh-redis-watch", IsBackground = true };
        _thread.Start();
    }

    /// <summary>From now on the connection ends at its deadline.</summary>
    public void Begin(RedisConnection connection)
    {
        bool isFirst;
        lock (_lock)
        {
            _running.Add(connection);
            isFirst = _running.Count == 1;
        }

        if (_isStopping)
        {
            connection.Abort();
        }
        else if (isFirst)
        {
            _signal.Set();
        }
    }

    public void End(RedisConnection connection)
    {
        lock (_lock)
        {
            var index = _running.IndexOf(connection);
            Debug.Assert(index >= 0, "The operation was begun.");
            _running[index] = _running[^1];
            _running.RemoveAt(_running.Count - 1);
        }
    }

    /// <summary>Ends every operation that runs now; those that wait for the network return at once.</summary>
    public void Dispose()
    {
        _isStopping = true;
        _signal.Set();
        _thread.Join();
        lock (_lock)
        {
            foreach (var connection in _running)
            {
                connection.Abort();
            }
        }
    }

    private void Run()
    {
        while (!_isStopping)
        {
            bool isIdle;
            lock (_lock)
            {
                isIdle = _running.Count == 0;
                var now = Stopwatch.GetTimestamp();
                foreach (var connection in _running)
                {
                    connection.AbortIfLate(now);
                }
            }

            _signal.WaitOne(isIdle ? Timeout.InfiniteTimeSpan : Tick);
        }
    }
}
