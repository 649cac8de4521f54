using System.Diagnostics;

namespace KvMesh.Gateway.Sockets;

/// <summary>
/// Threads that serve ready connections: made on demand up to a maximum, ended after a while without work. The queue is
/// bounded by the number of connections, since each is in it at most once. Own threads, because they block in system calls.
/// </summary>
internal sealed class WorkerPool(int maxWorkers, TimeSpan retireAfter, Action<Connection> serve) : IDisposable
{
    // Monitor, not Lock: workers wait on it. Every field below is guarded by it.
    private readonly object _gate = new();
    private readonly Queue<Connection> _ready = new();
    private int _workers;
    private int _idle;
    private bool _stopping;
    private volatile bool _isStarved;

    // Signalled while nothing is queued or served. Changed under the gate, waited for outside.
    private readonly ManualResetEventSlim _quiet = new(initialState: true);

    /// <summary>Whether a connection waits for a thread while all threads are taken. Read without the lock: a hint.</summary>
    public bool IsStarved => _isStarved;

    /// <summary>Threads alive now.</summary>
    public int WorkerCount
    {
        get
        {
            lock (_gate)
            {
                return _workers;
            }
        }
    }

    /// <summary>Hands over a connection; it is served by exactly one thread, in order of arrival.</summary>
    public void Enqueue(Connection connection)
    {
        lock (_gate)
        {
            Debug.Assert(!_stopping, "the parker ends before the pool");
            _ready.Enqueue(connection);
            _quiet.Reset();
            if (_ready.Count <= _idle)
            {
                Monitor.Pulse(_gate);
            }
            else if (_workers < maxWorkers)
            {
                _workers++;
                OwnedThread.Start("kvmesh-worker", Work);
            }
            else
            {
                _isStarved = true;
            }
        }
    }

    /// <summary>Waits until no connection is queued or served; false when that takes longer than <paramref name="patience"/>.</summary>
    public bool WaitUntilIdle(TimeSpan patience) => _quiet.Wait(patience);

    /// <summary>Serves what is queued, then ends every thread and waits for them.</summary>
    public void Stop()
    {
        lock (_gate)
        {
            _stopping = true;
            Monitor.PulseAll(_gate);
            while (_workers > 0)
            {
                Monitor.Wait(_gate);
            }
        }
    }

    public void Dispose() => _quiet.Dispose();

    private void Work()
    {
        while (Take() is { } connection)
        {
            serve(connection);
        }
    }

    /// <summary>The next connection, or null when this thread is to end; it is no longer counted then.</summary>
    private Connection? Take()
    {
        lock (_gate)
        {
            while (true)
            {
                if (_ready.TryDequeue(out var connection))
                {
                    _isStarved = _ready.Count > _idle && _workers == maxWorkers;
                    return connection;
                }

                _isStarved = false;
                _idle++;
                if (_idle == _workers)
                {
                    _quiet.Set();
                }

                var called = !_stopping && Monitor.Wait(_gate, retireAfter);
                _idle--;
                if (_ready.Count == 0 && (_stopping || !called))
                {
                    _workers--;
                    Monitor.PulseAll(_gate);
                    return null;
                }
            }
        }
    }
}
