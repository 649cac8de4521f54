using KvMesh.Gateway.Sockets;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Gateway.Handover;

/// <summary>The bodies of the frames that carry listeners and connections. Record i belongs to descriptor i.</summary>
internal static class HandoverRecords
{
    public static byte[] Write(IEnumerable<FrozenListener> listeners) => Write(writer =>
    {
        foreach (var listener in listeners)
        {
            writer.Write(listener.Protocol);
        }
    });

    public static byte[] Write(IEnumerable<FrozenConnection> connections) => Write(writer =>
    {
        foreach (var connection in connections)
        {
            writer.Write(connection.Protocol);
            writer.Write(connection.Info.RemoteAddress);
            writer.Write(connection.Info.ClientName);
            writer.Write(connection.Info.TenantName);
            writer.Write(connection.Info.Commands);
            writer.Write(connection.OpenedAt.ToUnixTimeMilliseconds());
            writer.Write(connection.ReceivedBytes);
            writer.Write(connection.SentBytes);
            writer.Write(connection.State?.Length ?? -1);
            writer.Write(connection.State ?? []);
        }
    });

    public static byte[] WriteCounts(FrozenConnections frozen) => Write(writer =>
    {
        writer.Write(frozen.Listeners.Count);
        writer.Write(frozen.Connections.Count);
        writer.Write(frozen.ClosedCount);
    });

    public static void ReadListeners(HandoverChannel.Received frame, List<FrozenListener> into) => Read(frame, (reader, index) =>
    {
        var protocol = reader.ReadString();
        into.Add(new FrozenListener(protocol, StreamListener.FromDescriptor(frame.Take(index))));
    });

    public static void ReadConnections(HandoverChannel.Received frame, StreamSocketOptions options, List<FrozenConnection> into) => Read(frame, (reader, index) =>
    {
        var protocol = reader.ReadString();
        var remoteAddress = reader.ReadString();
        var info = new ConnectionInfo(0, remoteAddress, remoteAddress == "unix")
        {
            ClientName = reader.ReadString(),
            TenantName = reader.ReadString(),
            Commands = reader.ReadInt64(),
        };
        var openedAt = ReadMoment(reader);
        var receivedBytes = reader.ReadInt64();
        var sentBytes = reader.ReadInt64();
        var state = ReadState(reader);
        if (TryAdopt(frame.Take(index), options) is { } socket)
        {
            into.Add(new FrozenConnection(protocol, socket, info, openedAt, receivedBytes, sentBytes, state));
        }
    });

    public static (int Listeners, int Connections, int Closed) ReadCounts(byte[] body)
    {
        using var reader = new BinaryReader(new MemoryStream(body));
        try
        {
            return (reader.ReadInt32(), reader.ReadInt32(), reader.ReadInt32());
        }
        catch (EndOfStreamException failure)
        {
            throw new HandoverException($"The counts of a handover have {body.Length} bytes; three numbers of 4 bytes were expected.", failure);
        }
    }

    private static DateTimeOffset ReadMoment(BinaryReader reader)
    {
        var milliseconds = reader.ReadInt64();
        return milliseconds >= DateTimeOffset.MinValue.ToUnixTimeMilliseconds() && milliseconds <= DateTimeOffset.MaxValue.ToUnixTimeMilliseconds()
            ? DateTimeOffset.FromUnixTimeMilliseconds(milliseconds)
            : throw new HandoverException($"A handed-over connection was opened {milliseconds} ms after 1970, which is no time.");
    }

    private static byte[]? ReadState(BinaryReader reader)
    {
        var bytes = reader.ReadInt32();
        return bytes switch
        {
            -1 => null,
            >= 0 and <= FrozenConnection.MaxStateBytes => reader.ReadBytes(bytes) is var state && state.Length == bytes ? state : throw new EndOfStreamException(),
            _ => throw new HandoverException($"A handed-over connection has a state of {bytes} bytes; at most {FrozenConnection.MaxStateBytes} are possible."),
        };
    }

    /// <summary>Null when the peer has left meanwhile; the descriptor is closed then.</summary>
    private static StreamSocket? TryAdopt(int descriptor, StreamSocketOptions options)
    {
        try
        {
            return StreamSocket.FromDescriptor(descriptor, options);
        }
        catch (ChannelException)
        {
            return null;
        }
    }

    private static byte[] Write(Action<BinaryWriter> write)
    {
        using var body = new MemoryStream();
        using var writer = new BinaryWriter(body);
        write(writer);
        writer.Flush();
        return body.ToArray();
    }

    private static void Read(HandoverChannel.Received frame, Action<BinaryReader, int> read)
    {
        using var reader = new BinaryReader(new MemoryStream(frame.Body));
        try
        {
            for (var index = 0; index < frame.Descriptors.Length; index++)
            {
                read(reader, index);
            }
        }
        catch (Exception failure) when (failure is IOException or FormatException)
        {
            throw new HandoverException($"A handover frame of {frame.Descriptors.Length} records in {frame.Body.Length} bytes cannot be read: {failure.Message}", failure);
        }
    }
}
