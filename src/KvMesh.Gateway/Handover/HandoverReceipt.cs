using KvMesh.Gateway.Sockets;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Gateway.Handover;

/// <summary>
/// The successor's side: holds what the running node gave, until <see cref="Commit"/> makes it this process's own. Before
/// that nothing may be read from the connections, and Dispose sends the running node back to service. One thread; blocks.
/// </summary>
public sealed class HandoverReceipt : IDisposable
{
    private readonly HandoverChannel _channel;
    private FrozenConnections? _received;

    private HandoverReceipt(HandoverChannel channel, FrozenConnections received)
    {
        _channel = channel;
        _received = received;
    }

    /// <summary>Listeners that will be this process's own: their endpoints must not be bound again.</summary>
    public IReadOnlyList<FrozenListener> Listeners => _received?.Listeners ?? [];

    /// <summary>
    /// Asks the node that listens on <paramref name="path"/> to stop, and takes what it hands over. When it returns, that node has
    /// closed its engine and data directory. Throws <see cref="HandoverException"/> when there is no such node, it runs as
    /// another user, it refuses, or a step takes longer than <paramref name="patience"/>; that node then serves on.
    /// </summary>
    /// <param name="options">How the connections behave in this process.</param>
    public static HandoverReceipt Request(string path, SocketOptions options, TimeSpan patience)
    {
        var channel = new HandoverChannel(Connect(path, patience));
        try
        {
            channel.Send(HandoverVerb.Hello);
            channel.Receive(HandoverVerb.Welcome);
            return new HandoverReceipt(channel, ReceiveAll(channel, options.ToStreamOptions()));
        }
        catch
        {
            channel.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Tells the old node that this process can serve, and returns the connections once it has let go of them. Throws
    /// <see cref="HandoverException"/> when it has gone back to service meanwhile; this process must then close the engine.
    /// </summary>
    public FrozenConnections Commit()
    {
        ObjectDisposedException.ThrowIf(_received is null, this);
        _channel.Send(HandoverVerb.Ready);
        _channel.Receive(HandoverVerb.Commit);
        var received = _received;
        _received = null;
        return received;
    }

    public void Dispose()
    {
        _channel.Dispose();
        _received?.Abandon();
        _received = null;
    }

    private static StreamSocket Connect(string path, TimeSpan patience)
    {
        StreamSocket socket;
        try
        {
            socket = StreamSocket.Connect(StreamEndpoint.Unix(path), new StreamSocketOptions { StallLimit = patience });
        }
        catch (ChannelException failure)
        {
            throw new HandoverException($"No node to take over from: {failure.Message}", failure);
        }

        if (!socket.ReadPeerCredentials().IsSameUser)
        {
            socket.Dispose();
            throw new HandoverException($"The process that listens on {path} runs as another user.");
        }

        return socket;
    }

    private static FrozenConnections ReceiveAll(HandoverChannel channel, StreamSocketOptions options)
    {
        var listeners = new List<FrozenListener>();
        var connections = new List<FrozenConnection>();
        var handedOver = 0;
        try
        {
            while (true)
            {
                using var frame = channel.Receive(HandoverVerb.Listeners, HandoverVerb.Connections, HandoverVerb.Complete);
                if (frame.Verb == HandoverVerb.Complete)
                {
                    var counts = HandoverRecords.ReadCounts(frame.Body);
                    Check(counts.Listeners, listeners.Count, "listeners");
                    Check(counts.Connections, handedOver, "connections");
                    return new FrozenConnections(listeners, connections, counts.Closed);
                }

                if (frame.Verb == HandoverVerb.Listeners)
                {
                    HandoverRecords.ReadListeners(frame, listeners);
                }
                else
                {
                    handedOver += frame.Descriptors.Length;
                    HandoverRecords.ReadConnections(frame, options, connections);
                }

                channel.Send(HandoverVerb.Received);
            }
        }
        catch
        {
            new FrozenConnections(listeners, connections, 0).Abandon();
            throw;
        }
    }

    private static void Check(int announced, int arrived, string what)
    {
        if (announced != arrived)
        {
            throw new HandoverException($"{arrived} of {announced} {what} arrived.");
        }
    }
}
