using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;
using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Remote.Peers.Feed;

/// <summary>
/// A connection to another node's native door that asks one thing at a time and holds no thread while it waits: a directory has one to each
/// node. Answers without payload only. After any failure it is of no more use.
/// </summary>
internal sealed class FeedConnection : IDisposable
{
    private const string ClientName = "kvmesh-directory";

    private readonly Socket _socket;
    private readonly NativeVersions _versions;
    private readonly FrameWriter _writer = new();
    private readonly TimeProvider _time;
    private readonly byte[] _header = new byte[FrameHeader.Bytes];
    private byte[] _head = new byte[16 * 1024];
    private ulong _lastId;

    private FeedConnection(Socket socket, byte version, TimeSpan limit, TimeProvider time)
    {
        _writer.Version = version;
        _versions = NativeVersions.Only(version);
        _socket = socket;
        Limit = limit;
        _time = time;
    }

    /// <summary>Longest wait for the connection and for each answer.</summary>
    public TimeSpan Limit { get; set; }

    /// <summary>Number of the other process's run: its positions mean nothing in another one.</summary>
    public long Incarnation { get; private set; }

    /// <exception cref="ChannelException">Nobody answers, in time, as a node does.</exception>
    /// <param name="address">Host and port of the native door.</param>
    /// <param name="greeting">What this node shows, and in which version both talk.</param>
    /// <param name="limit">Longest wait for the connection and for each answer.</param>
    /// <param name="time">Clock of these waits.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    public static async Task<FeedConnection> ConnectAsync(string address, PeerGreeting greeting, TimeSpan limit, TimeProvider time, CancellationToken cancellationToken)
    {
        var endpoint = ParseOrThrow(address);
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        var connection = new FeedConnection(socket, greeting.Version, limit, time);
        try
        {
            await connection.BoundedAsync(async bounded =>
            {
                await socket.ConnectAsync(endpoint, bounded).ConfigureAwait(false);
                return 0;
            }, cancellationToken).ConfigureAwait(false);
            await connection.GreetAsync(greeting, cancellationToken).ConfigureAwait(false);
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>Sends a request and waits for its answer. The head is valid until the next one.</summary>
    /// <exception cref="ChannelException">The connection is lost, the answer makes no sense, the node refused, or the time is over.</exception>
    public Task<ReadOnlyMemory<byte>> AskAsync(Verb verb, Action<FrameWriter> writeHead, CancellationToken cancellationToken) => BoundedAsync(
        async bounded =>
        {
            await SendAsync(verb, writeHead, bounded).ConfigureAwait(false);
            return await ReceiveAnswerAsync(verb, bounded).ConfigureAwait(false);
        },
        cancellationToken);

    /// <summary>As <see cref="AskAsync"/> for an answer that is a payload; null: the answer is that there is none.</summary>
    public Task<ReadOnlyMemory<byte>?> AskForPayloadAsync(Verb verb, Action<FrameWriter> writeHead, int mostBytes, CancellationToken cancellationToken) => BoundedAsync(
        async bounded =>
        {
            await SendAsync(verb, writeHead, bounded).ConfigureAwait(false);
            return await ReceivePayloadAsync(verb, mostBytes, bounded).ConfigureAwait(false);
        },
        cancellationToken);

    public void Dispose() => _socket.Dispose();

    private static System.Net.EndPoint ParseOrThrow(string address)
    {
        try
        {
            return StreamEndpoint.Parse(address);
        }
        catch (FormatException error)
        {
            throw new ChannelException(error.Message, error);
        }
    }

    private async Task GreetAsync(PeerGreeting greeting, CancellationToken cancellationToken)
    {
        var head = await AskAsync(
            Verb.Hello,
            writer => new HelloRequest
            {
                LowestVersion = greeting.Version,
                HighestVersion = greeting.Version,
                Capabilities = NativeCapabilities.Watch,
                Token = Encoding.UTF8.GetBytes(greeting.Token ?? ""),
                ClientName = Encoding.UTF8.GetBytes(ClientName),
            }.Write(writer),
            cancellationToken).ConfigureAwait(false);
        Incarnation = HelloResponse.TryRead(head.Span, out var hello)
            ? hello.Incarnation
            : throw new ChannelException($"The node greeted with {head.Length} bytes that make no sense.");
    }

    /// <summary>Runs a step within the limit, and turns what a network may do into one kind of failure.</summary>
    private async Task<T> BoundedAsync<T>(Func<CancellationToken, Task<T>> step, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(Limit, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            return await step(both.Token).ConfigureAwait(false);
        }
        catch (SocketException error)
        {
            throw new ChannelException(error.Message, error);
        }
        catch (OperationCanceledException error) when (!cancellationToken.IsCancellationRequested)
        {
            throw new ChannelException($"The node did not answer within {Limit.TotalSeconds:0.###} s.", error) { Fault = ChannelFault.Stalled };
        }
    }

    private Task SendAsync(Verb verb, Action<FrameWriter> writeHead, CancellationToken cancellationToken)
    {
        _writer.Begin(verb, ++_lastId, FrameFlags.None);
        writeHead(_writer);
        _writer.End(NativeStatus.Ok);
        var frame = _writer.Pending.ToArray();
        _writer.Reset();
        return SendAsync(frame, cancellationToken);
    }

    private async Task SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        while (!bytes.IsEmpty)
        {
            bytes = bytes[await _socket.SendAsync(bytes, cancellationToken).ConfigureAwait(false)..];
        }
    }

    private async Task<ReadOnlyMemory<byte>> ReceiveAnswerAsync(Verb verb, CancellationToken cancellationToken)
    {
        var (header, head) = await ReceiveHeadAsync(verb, mostPayloadBytes: 0, cancellationToken).ConfigureAwait(false);
        return header.Status.IsRefusal() ? throw Refused(head) : head;
    }

    private async Task<ReadOnlyMemory<byte>?> ReceivePayloadAsync(Verb verb, int mostBytes, CancellationToken cancellationToken)
    {
        var (header, head) = await ReceiveHeadAsync(verb, mostBytes, cancellationToken).ConfigureAwait(false);
        if (header.Status.IsRefusal())
        {
            throw Refused(head);
        }

        var payload = new byte[header.PayloadBytes];
        await FillAsync(payload, cancellationToken).ConfigureAwait(false);
        return header.Status == NativeStatus.Miss ? default(ReadOnlyMemory<byte>?) : payload;
    }

    private static ChannelException Refused(ReadOnlyMemory<byte> head) => new($"The node refused: {Encoding.UTF8.GetString(head.Span)}");

    private async Task<(FrameHeader Header, ReadOnlyMemory<byte> Head)> ReceiveHeadAsync(Verb verb, int mostPayloadBytes, CancellationToken cancellationToken)
    {
        await FillAsync(_header, cancellationToken).ConfigureAwait(false);
        var fault = FrameHeader.TryRead(_header, _versions, out var header);
        if (fault != FrameFault.None || !header.IsResponse || header.RequestId != _lastId || header.PayloadBytes > mostPayloadBytes || header.HasMore)
        {
            throw new ChannelException($"The answer to {verb} {_lastId} is none: {fault}, request {header.RequestId}, {header.PayloadBytes} payload bytes.");
        }

        if (_head.Length < header.HeadSectionBytes)
        {
            _head = new byte[header.HeadSectionBytes];
        }

        var section = _head.AsMemory(0, header.HeadSectionBytes);
        await FillAsync(section, cancellationToken).ConfigureAwait(false);
        var head = section[..header.HeadBytes];
        if (header.HeadBytes > 0 && Crc32C.Compute(head.Span) != BinaryPrimitives.ReadUInt32LittleEndian(section.Span[header.HeadBytes..]))
        {
            throw new ChannelException($"The answer to {verb} does not match its checksum.");
        }

        return (header, head);
    }

    private async Task FillAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        while (!buffer.IsEmpty)
        {
            var received = await _socket.ReceiveAsync(buffer, cancellationToken).ConfigureAwait(false);
            buffer = received > 0 ? buffer[received..] : throw new ChannelException("The node closed the connection.");
        }
    }
}
