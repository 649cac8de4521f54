using System.Buffers.Binary;
using System.Net;
using System.Text;
using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Removals;
using KvMesh.Engine.FarTiers;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Remote.Peers;

/// <summary>What a connection has for its reader.</summary>
internal enum PeerArrival
{
    /// <summary>Nothing more for now: wait until the socket can be read.</summary>
    Nothing,

    /// <summary>A header and its head are here; the payload follows.</summary>
    Frame,
}

/// <summary>
/// One connection to another node, made and read without ever waiting in it, so that one thread reads from several nodes at once and leaves
/// whoever is slow. The hello goes out with the first request. One thread at a time.
/// </summary>
internal sealed class PeerConnection : IDisposable
{
    /// <summary>Room for the head of the longest range that is asked for, and a little: what comes behind it is copied once more.</summary>
    private const int FirstReadBytes = 4096;

    private readonly IReadOnlyList<EndPoint> _addresses;
    private readonly StreamSocketOptions _options;
    private readonly NativeVersions _versions;
    private readonly FrameWriter _writer = new();
    private StreamSocket _socket;
    private int _nextAddress;
    private byte[] _buffer = new byte[FirstReadBytes * 2];
    private int _start;
    private int _end;
    private int _headStart;
    private int _headBytes;
    private long _payloadLeft;
    private ulong _lastSent;
    private ulong _lastTaken;
    private bool _isGreeted;

    /// <summary>Begins to connect to the first of some addresses of a node; to the next one when nobody answers there.</summary>
    /// <exception cref="ChannelException">Nobody is at any of them.</exception>
    public PeerConnection(IReadOnlyList<EndPoint> addresses, StreamSocketOptions options, string tenant, PeerGreeting greeting, string clientName)
    {
        _addresses = addresses;
        _options = options;
        _versions = NativeVersions.Only(greeting.Version);
        _writer.Version = greeting.Version;
        _socket = DialNext();
        Tenant = tenant;
        _writer.Begin(Verb.Hello, 0, FrameFlags.None);
        new HelloRequest
        {
            LowestVersion = greeting.Version,
            HighestVersion = greeting.Version,
            Token = Encoding.UTF8.GetBytes(greeting.Token ?? ""),
            TenantName = Encoding.UTF8.GetBytes(tenant),
            ClientName = Encoding.UTF8.GetBytes(clientName.Length <= NativeLimits.MaxClientNameBytes ? clientName : clientName[..NativeLimits.MaxClientNameBytes]),
        }.Write(_writer);
        _writer.End(NativeStatus.Ok);
    }

    public string Tenant { get; }

    public StreamSocket Socket => _socket;

    public FetchPriority Priority { get; set; }

    /// <summary>Whether it waited in the pool since it was opened: the other end may have left meanwhile.</summary>
    public bool HasBeenIdle { get; set; }

    /// <summary>Whether every request was answered and nothing is under way, so that the next reader may have it.</summary>
    public bool IsClean => !IsBroken && _isGreeted && _lastSent == _lastTaken && _payloadLeft == 0 && _start == _end;

    public bool IsBroken { get; private set; }

    /// <summary>Header of the frame in hand.</summary>
    public FrameHeader Header { get; private set; }

    /// <summary>Head of the frame in hand. Valid until the next frame is asked for.</summary>
    public ReadOnlySpan<byte> Head => _buffer.AsSpan(_headStart, _headBytes);

    /// <summary>Asks for a range of a block.</summary>
    /// <exception cref="ChannelException">The connection is lost.</exception>
    public void AskRange(ReadOnlySpan<byte> key, int offset, int bytes, PullGuard guard, bool losslessOnly)
    {
        _writer.Begin(Verb.Get, ++_lastSent, FrameFlags.None);
        new GetRequest(GetMode.Range, (uint)bytes, (ulong)offset)
        {
            // A node of an earlier version refuses the other flags: where nothing was ever removed, or anything will do, they are not sent.
            Flags = GetFlags.ForPeer | (guard.IsNeeded ? GetFlags.Guarded : GetFlags.None) | (losslessOnly ? GetFlags.LosslessOnly : GetFlags.None),
            Purges = (ulong)guard.Purges,
            Removals = (ulong)guard.Removals,
        }.Write(_writer);
        _writer.WriteOpaque(key);
        _writer.End(NativeStatus.Ok);
        Flush();
    }

    /// <summary>Asks whether anybody is there.</summary>
    public void AskPing()
    {
        _writer.Begin(Verb.Ping, ++_lastSent, FrameFlags.None);
        _writer.End(NativeStatus.Ok);
        Flush();
    }

    /// <summary>Asks whether anybody is there, and waits for the answer.</summary>
    /// <exception cref="ChannelException">The connection is lost.</exception>
    /// <exception cref="PeerRefusalException">The node refuses this one.</exception>
    public bool TryPing(TimeSpan patience, TimeProvider time)
    {
        var askedAt = time.GetTimestamp();
        AskPing();
        while (TakeFrame() == PeerArrival.Nothing)
        {
            var rest = patience - time.GetElapsedTime(askedAt);
            if (rest <= TimeSpan.Zero || !SocketPoll.Wait([_socket], rest))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Tells the node that bytes of a block were wrong. No answer comes.</summary>
    public void Report(ReadOnlySpan<byte> key)
    {
        _writer.Begin(Verb.Report, 0, FrameFlags.NoReply);
        _writer.WriteOpaque(key);
        _writer.End(NativeStatus.Ok);
        Flush();
    }

    /// <summary>The next answer, as far as it is here. The payload of the one before must have been taken.</summary>
    /// <exception cref="ChannelException">The connection is lost, or what came makes no sense.</exception>
    public PeerArrival TakeFrame()
    {
        try
        {
            if (!_isGreeted)
            {
                if (!TryConnect() || !TryTakeFrame())
                {
                    return PeerArrival.Nothing;
                }

                Greet();
            }

            if (!TryTakeFrame())
            {
                return PeerArrival.Nothing;
            }

            if (!Header.IsResponse || Header.RequestId != ++_lastTaken)
            {
                throw new ChannelException($"The node answered request {Header.RequestId} when {_lastTaken} was due.");
            }

            _payloadLeft = Header.PayloadBytes;
            return PeerArrival.Frame;
        }
        catch (ChannelException)
        {
            IsBroken = true;
            throw;
        }
    }

    /// <summary>Takes payload bytes of the frame in hand, as far as they are here. 0: none are.</summary>
    /// <exception cref="ChannelException">The connection is lost.</exception>
    public int TakePayload(Span<byte> destination)
    {
        var wanted = destination[..(int)Math.Min(destination.Length, _payloadLeft)];
        int taken;
        if (_end > _start)
        {
            taken = Math.Min(_end - _start, wanted.Length);
            _buffer.AsSpan(_start, taken).CopyTo(wanted);
            _start += taken;
        }
        else
        {
            taken = Receive(wanted);
        }

        _payloadLeft -= taken;
        return taken;
    }

    public void Dispose() => _socket.Dispose();

    private StreamSocket DialNext()
    {
        while (true)
        {
            try
            {
                return StreamSocket.BeginConnect(_addresses[_nextAddress++], _options);
            }
            catch (ChannelException) when (_nextAddress < _addresses.Count)
            {
                // A name may have addresses at which nobody listens.
            }
        }
    }

    /// <summary>Whether the connection is made; what was asked meanwhile goes out then.</summary>
    private bool TryConnect()
    {
        while (_socket.IsConnecting)
        {
            try
            {
                if (!_socket.TryFinishConnect())
                {
                    return false;
                }

                Flush();
            }
            catch (ChannelException) when (_socket.IsConnecting && _nextAddress < _addresses.Count)
            {
                _socket.Dispose();
                _socket = DialNext();
            }
        }

        return true;
    }

    private void Flush()
    {
        try
        {
            // While the connection is being made requests gather here.
            if (!_socket.IsConnecting)
            {
                _writer.Flush(_socket);
            }
        }
        catch (ChannelException)
        {
            IsBroken = true;
            throw;
        }
    }

    private void Greet()
    {
        if (Header.Status.IsRefusal() || Header.Verb != Verb.Hello)
        {
            throw new PeerRefusalException($"The node refused: {Encoding.UTF8.GetString(Head)}");
        }

        _isGreeted = true;
    }

    private bool TryTakeFrame()
    {
        if (!TryFill(FrameHeader.Bytes))
        {
            return false;
        }

        if (FrameHeader.TryRead(_buffer.AsSpan(_start, FrameHeader.Bytes), _versions, out var header) is var fault and not FrameFault.None)
        {
            throw new ChannelException($"What the node sent is no frame: {fault}.");
        }

        if (!TryFill(FrameHeader.Bytes + header.HeadSectionBytes))
        {
            return false;
        }

        Header = header;
        _headStart = _start + FrameHeader.Bytes;
        _headBytes = header.HeadBytes;
        _start = _headStart + header.HeadSectionBytes;
        if (_headBytes > 0 && Crc32C.Compute(Head) != BinaryPrimitives.ReadUInt32LittleEndian(_buffer.AsSpan(_headStart + _headBytes)))
        {
            throw new ChannelException("The checksum of a head is wrong.");
        }

        return true;
    }

    /// <summary>Whether so many bytes are in the buffer, from where the next frame begins.</summary>
    private bool TryFill(int count)
    {
        if (_start == _end)
        {
            _start = _end = 0;
        }
        else if (_start + Math.Max(count, FirstReadBytes) > _buffer.Length)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            _end -= _start;
            _start = 0;
        }

        if (count > _buffer.Length)
        {
            Array.Resize(ref _buffer, count + FirstReadBytes);
        }

        while (_end - _start < count)
        {
            var room = Math.Max(count - (_end - _start), FirstReadBytes);
            var received = Receive(_buffer.AsSpan(_end, Math.Min(room, _buffer.Length - _end)));
            if (received == 0)
            {
                return false;
            }

            _end += received;
        }

        return true;
    }

    private int Receive(Span<byte> destination)
    {
        try
        {
            var received = _socket.ReceiveAvailable(destination);
            return received != 0 ? Math.Max(received, 0) : throw new ChannelException("The node closed the connection.");
        }
        catch (ChannelException)
        {
            IsBroken = true;
            throw;
        }
    }
}

/// <summary>The node answers, but not this one: its credential or the tenant is not known there.</summary>
internal sealed class PeerRefusalException(string message) : IOException(message);
