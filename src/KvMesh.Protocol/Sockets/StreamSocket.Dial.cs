using System.Diagnostics;
using System.Net;

namespace KvMesh.Protocol.Sockets;

/// <summary>Connecting without waiting, for a thread that has others to look after.</summary>
public sealed unsafe partial class StreamSocket
{
    private EndPoint? _dialled;
    private long _dialledAt;

    /// <summary>
    /// Begins to connect to an address, and does not wait. Until <see cref="TryFinishConnect"/> returned true the socket can be waited for with
    /// <see cref="SocketPoll"/> and disposed, no more. Throws <see cref="ChannelException"/> when the address refuses at once.
    /// </summary>
    /// <param name="endpoint">No host name: resolving one would wait.</param>
    public static StreamSocket BeginConnect(EndPoint endpoint, StreamSocketOptions options)
    {
        var handle = SocketDialer.Begin(endpoint, options, out var isConnected);
        return isConnected
            ? FromHandle(handle, options)
            : new StreamSocket(handle, options, ((IPEndPoint)endpoint).Address.ToString(), isUnix: false) { _dialled = endpoint, _dialledAt = Stopwatch.GetTimestamp() };
    }

    /// <summary>Whether a connection that was begun is being made still.</summary>
    public bool IsConnecting => _dialled is not null;

    /// <summary>
    /// Whether the socket is connected by now. Throws <see cref="ChannelException"/> when nobody answers there, or not within
    /// <see cref="StreamSocketOptions.ConnectTimeout"/>.
    /// </summary>
    public bool TryFinishConnect()
    {
        if (_dialled is not { } endpoint)
        {
            return true;
        }

        if (!SocketDialer.TryFinish(_handle, endpoint, Stopwatch.GetElapsedTime(_dialledAt), _options))
        {
            return false;
        }

        Apply(_handle, _options, ((IPEndPoint)endpoint).Address);
        _dialled = null;
        return true;
    }
}
