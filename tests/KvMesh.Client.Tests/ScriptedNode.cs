using System.Collections.Concurrent;
using System.Net;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.Protocol.Sockets;
using KvMesh.TestKit;

namespace KvMesh.Client.Tests;

/// <summary>What a scripted node sends for one block: it as it is, or as something encoded; neither: a miss.</summary>
internal sealed record ScriptedBlock(byte[]? Plain = null, byte[]? Encoded = null)
{
    public ushort Codec { get; init; } = 11;

    /// <summary>The block that the encoded bytes are said to be.</summary>
    public byte[] Block { get; init; } = [];

    /// <summary>Whether a bit turns over on the way.</summary>
    public bool IsDamaged { get; init; }
}

/// <summary>A node that answers gets as a test wants, on one connection at a time.</summary>
internal sealed class ScriptedNode : IDisposable
{
    private static readonly StreamSocketOptions Options = new() { StallLimit = Eventually.Patience };

    private readonly StreamListener _listener = StreamListener.Bind(new IPEndPoint(IPAddress.Loopback, 0), StreamSocketOptions.Default);
    private readonly ConcurrentBag<StreamSocket> _sockets = [];
    private readonly NativeCapabilities _capabilities;
    private readonly Func<GetRequest, int, ScriptedBlock?> _script;
    private readonly Task _accepting;

    /// <param name="script">What is sent for the block of that place in a get; null: the request is refused.</param>
    public ScriptedNode(Func<GetRequest, int, ScriptedBlock?> script, NativeCapabilities capabilities = NativeCapabilities.EncodedBlocks)
    {
        _script = script;
        _capabilities = capabilities;
        _accepting = Eventually.Run(Serve);
    }

    /// <summary>Gets in the order in which they came.</summary>
    public ConcurrentQueue<GetRequest> Requests { get; } = [];

    /// <summary>Verbs of all other requests.</summary>
    public ConcurrentQueue<Verb> Others { get; } = [];

    /// <summary>Payload bytes that were sent.</summary>
    public long SentBytes;

    public Task<KvMeshClient> ConnectAsync(Protocol.Coding.IPayloadDecoder? decoder) => KvMeshClient.ConnectAsync(
        new ClientOptions
        {
            Endpoint = $"tcp://{_listener.LocalEndPoint}",
            Connections = 1,
            ConnectTimeout = Eventually.Patience,
            RequestTimeout = Eventually.Patience,
            Decoder = decoder,
        },
        CancellationToken.None).AsTask();

    public void Dispose()
    {
        _listener.Interrupt();
        _accepting.Wait(Eventually.Patience);
        foreach (var socket in _sockets)
        {
            socket.Dispose();
        }

        _listener.Dispose();
    }

    private void Serve()
    {
        while (_listener.Accept(Options, out var socket) == AcceptOutcome.Accepted)
        {
            _sockets.Add(socket!);
            try
            {
                Talk(socket!);
            }
            catch (ChannelException)
            {
                // The client left.
            }
        }
    }

    private void Talk(StreamSocket socket)
    {
        var receiver = new FrameReceiver();
        var writer = new FrameWriter();
        receiver.Next(socket, out var hello, canIdle: false);
        writer.Begin(Verb.Hello, hello.RequestId, FrameFlags.Response);
        new HelloResponse { NodeId = "scripted", Tenant = "default", Capabilities = _capabilities }.Write(writer);
        writer.End(NativeStatus.Ok);
        writer.Flush(socket);
        while (receiver.Next(socket, out var header, canIdle: false) == FrameArrival.Frame)
        {
            if (header.Verb != Verb.Get)
            {
                Others.Enqueue(header.Verb);
                writer.Begin(header.Verb, header.RequestId, FrameFlags.Response);
                writer.End(NativeStatus.Ok);
                writer.Flush(socket);
                continue;
            }

            var reader = new HeadReader(receiver.Head);
            var request = GetRequest.Read(ref reader);
            Assert.True(KeySet.TryRead(ref reader, out var keys, out _));
            Requests.Enqueue(request);
            for (var index = 0; index < keys.Count; index++)
            {
                Answer(writer, socket, header.RequestId, request, index, index + 1 < keys.Count);
            }
        }
    }

    private void Answer(FrameWriter writer, StreamSocket socket, ulong request, in GetRequest get, int index, bool more)
    {
        writer.Begin(Verb.Get, request, more ? FrameFlags.Response | FrameFlags.More : FrameFlags.Response);
        if (_script(get, index) is not { } block)
        {
            writer.WriteText("Get: flags are unknown here.");
            writer.End(NativeStatus.BadRequest);
            writer.Flush(socket);
            return;
        }

        var payload = (block.Encoded ?? block.Plain ?? []).ToArray();
        var table = new uint[ChecksumTable.EntryCount(payload.Length)];
        ChecksumTable.Compute(payload, table);
        var entries = table.SelectMany(BitConverter.GetBytes).ToArray();
        if (block.Encoded is not null)
        {
            new EncodedHead
            {
                Index = (uint)index,
                BlockBytes = (uint)block.Block.Length,
                BlockTableChecksum = SealOf(block.Block),
                Codec = block.Codec,
                TableChecksum = ChecksumTable.Seal(table),
                Entries = entries,
            }.Write(writer);
        }
        else
        {
            new BlockHead { Index = (uint)index, BlockBytes = (uint)payload.Length, TableChecksum = SealOf(payload), Entries = entries }.Write(writer);
        }

        if (block.IsDamaged)
        {
            payload[payload.Length / 2] ^= 4;
        }

        writer.End(block.Encoded is not null ? NativeStatus.Encoded : block.Plain is not null ? NativeStatus.Ok : NativeStatus.Miss, payload.Length);

        // Before they are sent: a test looks at the figure as soon as it has the answer.
        Interlocked.Add(ref SentBytes, payload.Length);
        writer.Flush(socket, payload);
    }

    private static uint SealOf(byte[] bytes)
    {
        var table = new uint[ChecksumTable.EntryCount(bytes.Length)];
        ChecksumTable.Compute(bytes, table);
        return ChecksumTable.Seal(table);
    }
}
