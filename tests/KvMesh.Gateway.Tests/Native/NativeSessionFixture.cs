using System.Text;
using KvMesh.Cluster.Sequences;
using KvMesh.Engine;
using KvMesh.Gateway.Access;
using KvMesh.Gateway.Native;
using KvMesh.Gateway.Native.Peers;
using KvMesh.Gateway.Sockets;
using KvMesh.Gateway.Telemetry;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Gateway.Tests.Native;

/// <summary>A native session over a real engine, with the test as its peer.</summary>
internal sealed class NativeSessionFixture : IDisposable
{
    private readonly GatewayMetrics _metrics = new();
    private readonly AccessControl _access;
    private readonly NativeSessionFactory _factory;
    private readonly bool _isUnix;
    private ulong _lastId;

    public NativeSessionFixture(bool isGreeted = true, Action<EngineOptions>? configure = null, int maxBlockBytes = 1 << 20,
        Func<NativeOptions, NativeOptions>? change = null, ISequenceHost? sequences = null, bool isUnix = false, CancellationToken stopping = default)
    {
        _isUnix = isUnix;
        Engine = new TestEngine(configure);
        _access = new AccessControl(Engine.Engine.Tenants, NullLoggerFactory.Instance);
        var options = new NativeOptions { NodeId = "test", Incarnation = 1, MaxBlockBytes = maxBlockBytes };
        _factory = new NativeSessionFactory(Engine.Engine, _access, _metrics, change?.Invoke(options) ?? options, stopping) { Sequences = sequences };
        Session = _factory.Create(new ConnectionInfo(1, "127.0.0.1", isUnix));
        if (isGreeted)
        {
            Assert.Equal(NativeStatus.Ok, Ask(Verb.Hello, Hello).Status);
        }
    }

    public static BlockScope Scope { get; } = new("model", "1", new byte[32], 0);

    public TestEngine Engine { get; }

    public IConnectionSession Session { get; private set; }

    public NativeClientChannel Channel { get; } = new();

    /// <summary>Lets the session serve other nodes.</summary>
    public void Serve(PeerDoor? peers) => _factory.Peers = peers;

    public static void Hello(FrameWriter writer) => new HelloRequest { LowestVersion = 1, HighestVersion = 1, ClientName = "test"u8 }.Write(writer);

    public static void Get(FrameWriter writer, int index)
    {
        new GetRequest(GetMode.Whole, 8 << 20, 0).Write(writer);
        writer.WriteChain(Scope.Bytes.Span, TestBytes.Hash(1, index));
    }

    public static Action<FrameWriter> Put(int index, int blockBytes) => writer =>
    {
        new PutRequest { BlockBytes = (uint)blockBytes }.Write(writer);
        writer.WriteChain(Scope.Bytes.Span, TestBytes.Hash(1, index));
    };

    /// <summary>A block, its table and the table's checksum.</summary>
    public static byte[] Trailed(byte[] block)
    {
        var table = new uint[ChecksumTable.EntryCount(block.Length)];
        ChecksumTable.Compute(block, table);
        return [.. block, .. table.SelectMany(BitConverter.GetBytes), .. BitConverter.GetBytes(ChecksumTable.Seal(table))];
    }

    /// <summary>Goes on with a new session, as a client that connects again.</summary>
    public void Reconnect()
    {
        Session.Dispose();
        Session = _factory.Create(new ConnectionInfo(2, "127.0.0.1", _isUnix));
        Channel.Closes = false;
        Assert.Equal(NativeStatus.Ok, Ask(Verb.Hello, Hello).Status);
    }

    public byte[] Frame(Verb verb, Action<FrameWriter>? head = null, byte[]? payload = null, FrameFlags flags = FrameFlags.None, byte version = 1)
    {
        var writer = new FrameWriter { Version = version };
        writer.Begin(verb, ++_lastId, flags);
        head?.Invoke(writer);
        writer.End(NativeStatus.Ok, payload?.Length ?? 0);
        return [.. writer.Pending, .. payload ?? []];
    }

    /// <summary>Lets the session serve bytes and returns the answers.</summary>
    public List<Answer> Send(byte[] bytes, SessionOutcome expected = SessionOutcome.Idle)
    {
        Channel.Queue(bytes);
        Assert.Equal(expected, Session.Run(Channel));
        return Parse(Channel.TakeSent());
    }

    public Answer Ask(Verb verb, Action<FrameWriter>? head = null, byte[]? payload = null, SessionOutcome expected = SessionOutcome.Idle) =>
        Assert.Single(Send(Frame(verb, head, payload), expected));

    public void Dispose()
    {
        Session.Dispose();
        _access.Dispose();
        _metrics.Dispose();
        Engine.Dispose();
    }

    private static List<Answer> Parse(byte[] sent)
    {
        var answers = new List<Answer>();
        var channel = new NativeClientChannel { Closes = true };
        channel.Queue(sent);
        var receiver = new FrameReceiver { Versions = new NativeVersions(1, 2) };
        while (receiver.Next(channel, out var header) == FrameArrival.Frame)
        {
            var head = receiver.Head.ToArray();
            var payload = new byte[header.PayloadBytes];
            receiver.Receive(channel, payload);
            answers.Add(new Answer(header, head, payload));
        }

        return answers;
    }
}

/// <summary>One frame that a session has sent.</summary>
internal sealed record Answer(FrameHeader Header, byte[] Head, byte[] Payload)
{
    public NativeStatus Status => Header.Status;

    public string Text => Encoding.UTF8.GetString(Head);
}
