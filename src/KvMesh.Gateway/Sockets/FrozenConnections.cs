using KvMesh.Protocol.Sockets;

namespace KvMesh.Gateway.Sockets;

/// <summary>
/// The listeners and connections of a host that was frozen, on their way to another host, in this process or the next. Nothing
/// is read from them meanwhile: what peers send waits in the kernel. Owned by one thread; Dispose closes what is left.
/// </summary>
/// <param name="Connections">At a command boundary, each.</param>
/// <param name="ClosedCount">Connections that were closed instead: not resumable, or not at a boundary in time.</param>
public sealed record FrozenConnections(IReadOnlyList<FrozenListener> Listeners, IReadOnlyList<FrozenConnection> Connections, int ClosedCount) : IDisposable
{
    /// <summary>Closes this process's descriptors; connections and listeners live on where they were handed to.</summary>
    public void Abandon()
    {
        foreach (var listener in Listeners)
        {
            listener.Listener.KeepPath();
        }

        Dispose();
    }

    public void Dispose()
    {
        foreach (var listener in Listeners)
        {
            listener.Listener.Dispose();
        }

        foreach (var connection in Connections)
        {
            connection.Socket.Dispose();
        }
    }
}

/// <summary>A listener and the protocol it speaks.</summary>
public sealed record FrozenListener(string Protocol, StreamListener Listener);

/// <summary>A connection at a command boundary.</summary>
/// <param name="Info">Its id is that of the host that froze it; the next host gives it a new one.</param>
/// <param name="State">What its session saved; null when the peer had not spoken yet.</param>
public sealed record FrozenConnection(
    string Protocol, StreamSocket Socket, ConnectionInfo Info, DateTimeOffset OpenedAt, long ReceivedBytes, long SentBytes, byte[]? State)
{
    /// <summary>Largest saved state of one session, so that a message of the handover has a bound.</summary>
    public const int MaxStateBytes = 64 * 1024;
}
