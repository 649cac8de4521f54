using System.Collections.Concurrent;
using System.Net;
using System.Runtime.InteropServices;
using KvMesh.Protocol;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.Protocol.Sockets;
using KvMesh.TestKit;

namespace KvMesh.Remote.Tests.Peers;

/// <summary>A node that speaks the protocol and does what a test tells it, good or bad.</summary>
internal sealed class ScriptedPeer : IDisposable
{
    private readonly ConcurrentBag<StreamSocket> _sockets = [];
    private readonly StreamListener _listener = StreamListener.Bind(new IPEndPoint(IPAddress.Loopback, 0), Options);
    private readonly ManualResetEventSlim _ended = new();
    private int _gets;

    public ScriptedPeer(Action<ScriptedGet> answer)
    {
        Answer = answer;
        new Thread(Accept) { IsBackground = true, Name = "scripted-peer" }.Start();
    }

    public IPEndPoint Endpoint => (IPEndPoint)_listener.LocalEndPoint;

    /// <summary>What becomes of a get, on the thread of its connection.</summary>
    public Action<ScriptedGet> Answer { get; set; }

    public int Gets => Volatile.Read(ref _gets);

    /// <summary>Keys of the reports that came, in hex.</summary>
    public ConcurrentQueue<string> Reports { get; } = new();

    /// <summary>Set when the test ends: a peer that sleeps wakes.</summary>
    public ManualResetEventSlim Ended => _ended;

    private static StreamSocketOptions Options => new() { StallLimit = Eventually.Patience, IdleWindow = TimeSpan.Zero };

    /// <summary>Says nothing, ever.</summary>
    public static void Hang(ScriptedGet get) => get.Peer.Ended.Wait(Eventually.Patience);

    /// <summary>Answers that the block is not here.</summary>
    public static void Miss(ScriptedGet get)
    {
        get.Begin();
        new BlockHead().Write(get.Writer);
        get.Writer.End(NativeStatus.Miss);
        get.Writer.Flush(get.Socket);
    }

    public void Dispose()
    {
        _ended.Set();
        _listener.Interrupt();
        foreach (var socket in _sockets)
        {
            socket.Shutdown();
        }
    }

    private void Accept()
    {
        while (_listener.Accept(Options, out var socket) == AcceptOutcome.Accepted)
        {
            _sockets.Add(socket!);
            new Thread(() => Serve(socket!)) { IsBackground = true, Name = "scripted-connection" }.Start();
        }

        _listener.Dispose();
    }

    private void Serve(StreamSocket socket)
    {
        var receiver = new FrameReceiver();
        var writer = new FrameWriter();
        try
        {
            while (receiver.Next(socket, out var header, canIdle: false) == FrameArrival.Frame)
            {
                Serve(socket, receiver, writer, header);
            }
        }
        catch (ChannelException)
        {
            // The other end has had enough.
        }
        finally
        {
            socket.Shutdown();
        }
    }

    private void Serve(StreamSocket socket, FrameReceiver receiver, FrameWriter writer, FrameHeader header)
    {
        var reader = new HeadReader(receiver.Head);
        switch (header.Verb)
        {
            case Verb.Hello:
                writer.Begin(Verb.Hello, header.RequestId, FrameFlags.Response);
                new HelloResponse { NodeId = "scripted" }.Write(writer);
                writer.End(NativeStatus.Ok);
                writer.Flush(socket);
                break;
            case Verb.Get:
                Interlocked.Increment(ref _gets);
                var request = GetRequest.Read(ref reader);
                Assert.True(KeySet.TryRead(ref reader, out var keys, out _));
                var cursor = keys.GetCursor();
                Assert.True(cursor.TryNext(new byte[Limits.MaxKeyBytes], out var key));
                Answer(new ScriptedGet(this, socket, writer, header, request, key.ToArray()));
                break;
            case Verb.Report:
                Assert.True(KeySet.TryRead(ref reader, out var reported, out _));
                var all = reported.GetCursor();
                Assert.True(all.TryNext(new byte[Limits.MaxKeyBytes], out var wrong));
                Reports.Enqueue(Convert.ToHexStringLower(wrong));
                break;
            default:
                writer.Begin(header.Verb, header.RequestId, FrameFlags.Response);
                writer.End(NativeStatus.Ok);
                writer.Flush(socket);
                break;
        }
    }
}

/// <summary>One get that a scripted peer was asked.</summary>
internal sealed record ScriptedGet(ScriptedPeer Peer, StreamSocket Socket, FrameWriter Writer, FrameHeader Header, GetRequest Request, byte[] Key)
{
    public void Begin() => Writer.Begin(Verb.Get, Header.RequestId, FrameFlags.Response);

    /// <summary>Sends the head of a right answer for this block, and returns the payload that is to follow.</summary>
    public byte[] SendHead(byte[] block)
    {
        var table = new uint[ChecksumTable.EntryCount(block.Length)];
        ChecksumTable.Compute(block, table);
        var start = (int)Math.Min((long)Request.Offset, block.Length);
        var bytes = (int)Math.Min(Request.MaxBytes, block.Length - start);
        var first = start / Limits.ChecksumChunkBytes;
        Begin();
        new BlockHead
        {
            BlockBytes = (uint)block.Length,
            PayloadOffset = (uint)start,
            TableChecksum = ChecksumTable.Seal(table),
            FirstEntry = (uint)first,
            Entries = MemoryMarshal.AsBytes(table.AsSpan(first, ChecksumTable.EntryCount(bytes))),
        }.Write(Writer);
        new BlockOriginHead { Model = "model"u8 }.Write(Writer);
        Writer.End(NativeStatus.Ok, bytes);
        Writer.Flush(Socket);
        return block[start..(start + bytes)];
    }

    /// <summary>Answers rightly.</summary>
    public void Send(byte[] block) => Socket.Send(SendHead(block));
}
