using KvMesh.Protocol.Sockets;

namespace KvMesh.Gateway.Sockets;

/// <summary>One thread that watches all parked connections and hands those that speak to <paramref name="onReady"/>.</summary>
internal sealed class Parker(Action<long> onReady) : IDisposable
{
    private readonly ReadinessSet _set = new();
    private OwnedThread? _thread;
    private volatile bool _stopping;

    public void Start() => _thread = OwnedThread.Start("kvmesh-parker", Watch);

    public void Add(Connection connection) => _set.Add(connection.Socket, connection.Info.Id);

    public void Rearm(Connection connection) => _set.Rearm(connection.Socket, connection.Info.Id);

    public void Remove(Connection connection) => _set.Remove(connection.Socket);

    /// <summary>Returns once the thread has ended: nobody is handed over any more.</summary>
    public void Stop()
    {
        _stopping = true;
        _set.Wake();
        _thread?.Join();
    }

    public void Dispose() => _set.Dispose();

    private void Watch()
    {
        var ready = new long[256];
        while (!_stopping)
        {
            var count = _set.Wait(ready);
            foreach (var id in ready.AsSpan(0, count))
            {
                onReady(id);
            }
        }
    }
}
