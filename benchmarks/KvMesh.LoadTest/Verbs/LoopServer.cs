using System.Buffers.Binary;
using System.CommandLine;
using System.Runtime.InteropServices;
using KvMesh.LoadTest.Clients;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Sockets;

namespace KvMesh.LoadTest.Verbs;

/// <summary>
/// The server side of the bare socket loop: 64-byte requests, one thread for each connection, payloads out of and into a
/// gigabyte that is walked. What no server can beat that sends the same bytes.
/// </summary>
internal static unsafe class LoopServer
{
    public const int RequestBytes = 64;

    private const long WalkBytes = 1L << 30;

    public static Command Create()
    {
        var endpoint = new Argument<string>("endpoint") { Description = "host:port or the path of a Unix socket." };
        var congestion = new Option<string>("--congestion-control") { DefaultValueFactory = _ => "" };
        var command = new Command("loop-server", "The baseline's server side; started by other verbs.") { endpoint, congestion };
        command.Hidden = true;
        command.SetAction(parse => Serve(parse.GetValue(endpoint)!, LoopConnection.Options(parse.GetValue(congestion)!)));
        return command;
    }

    public static void WriteRequest(Span<byte> request, LoopOperation operation, int payloadBytes, bool serverChecksums)
    {
        request[0] = (byte)operation;
        request[1] = serverChecksums ? (byte)1 : (byte)0;
        BinaryPrimitives.WriteInt32LittleEndian(request[4..], payloadBytes);
    }

    private static void Serve(string endpoint, StreamSocketOptions options)
    {
        var walk = (byte*)NativeMemory.Alloc((nuint)WalkBytes);
        NativeMemory.Fill(walk, (nuint)WalkBytes, 0x5A);
        using var listener = StreamListener.Bind(StreamEndpoint.Parse(endpoint), options);
        Console.Out.WriteLine("listening");
        var connections = 0;
        while (listener.Accept(options, out var socket) == AcceptOutcome.Accepted)
        {
            var start = (connections++ % 4) * (WalkBytes / 4);
            new Thread(() => Answer(socket!, walk, start)) { IsBackground = true }.Start();
        }
    }

    private static void Answer(StreamSocket socket, byte* walk, long position)
    {
        using var _ = socket;
        var request = new byte[RequestBytes];
        var table = new uint[Protocol.Limits.MaxChecksumEntries];
        try
        {
            while (TryReceive(socket, request))
            {
                var bytes = BinaryPrimitives.ReadInt32LittleEndian(request.AsSpan(4));
                position = position + bytes > WalkBytes ? 0 : position;
                var payload = new Span<byte>(walk + position, bytes);
                position += bytes;
                switch ((LoopOperation)request[0])
                {
                    case LoopOperation.Get when request[1] != 0:
                        ChecksumTable.Compute(payload, table.AsSpan(0, ChecksumTable.EntryCount(bytes)));
                        socket.Send(request, payload);
                        break;
                    case LoopOperation.Get:
                        socket.Send(request, payload);
                        break;
                    case LoopOperation.Put:
                        Receive(socket, payload, request[1] != 0 ? table : null);
                        socket.Send(request);
                        break;
                    default:
                        socket.Send(request);
                        break;
                }
            }
        }
        catch (ChannelException)
        {
            // The measuring side has ended.
        }
    }

    /// <summary>Receives a payload, and checksums each piece while it is in the cache when there is a table for it.</summary>
    public static void Receive(StreamSocket socket, Span<byte> payload, uint[]? table)
    {
        var checksum = default(RunningChecksum);
        while (!payload.IsEmpty)
        {
            var count = socket.Receive(payload);
            if (count == 0)
            {
                throw new ChannelException("The peer closed the connection in the middle of a payload.");
            }

            if (table is not null)
            {
                checksum.Append(payload[..count], table);
            }

            payload = payload[count..];
        }
    }

    private static bool TryReceive(StreamSocket socket, Span<byte> request)
    {
        for (var received = 0; received < request.Length;)
        {
            var count = socket.Receive(request[received..]);
            if (count == 0)
            {
                return false;
            }

            received += count;
        }

        return true;
    }
}

/// <summary>What a request of the bare loop asks.</summary>
internal enum LoopOperation : byte
{
    /// <summary>64 bytes for 64 bytes.</summary>
    Ping,

    /// <summary>A payload from the server.</summary>
    Get,

    /// <summary>A payload to the server.</summary>
    Put,
}
