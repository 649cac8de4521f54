using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Runtime.InteropServices;

namespace KvMesh.Protocol.Sockets;

/// <summary>
/// A connected TCP or Unix stream socket that blocks. One thread receives and one sends at a time; <see cref="Shutdown"/> and
/// <see cref="Dispose"/> may come from any thread. The descriptor is closed once, after the last call on it has returned, so
/// a thread that blocks in Receive delays the close: call Shutdown first to wake it. No call allocates while the peer behaves.
/// </summary>
public sealed unsafe partial class StreamSocket : IDescriptorChannel, IDisposable
{
    private const int ScratchBytes = 4096;
    private const int MaxDiscardRounds = 256;

    private readonly SocketHandle _handle;
    private readonly StreamSocketOptions _options;
    private PeerPace _receivePace;
    private long _bytesReceived;
    private long _bytesSent;

    private StreamSocket(SocketHandle handle, StreamSocketOptions options, string remoteAddress, bool isUnix)
    {
        _handle = handle;
        _options = options;
        RemoteAddress = remoteAddress;
        IsUnix = isUnix;
    }

    /// <summary>Address of the peer without its port, or "unix".</summary>
    public string RemoteAddress { get; }

    public bool IsUnix { get; }

    public long BytesReceived => Volatile.Read(ref _bytesReceived);

    public long BytesSent => Volatile.Read(ref _bytesSent);

    /// <summary>The descriptor, for passing it on or watching it. Valid while this socket is not disposed.</summary>
    public int Descriptor => _handle.Descriptor;

    /// <summary>Connects to a TCP or Unix endpoint; throws <see cref="ChannelException"/> naming it when nobody answers.</summary>
    public static StreamSocket Connect(EndPoint endpoint, StreamSocketOptions options) => SocketDialer.Connect(endpoint, options);

    /// <summary>Takes ownership of a connected descriptor, accepted here or received from another process.</summary>
    public static StreamSocket FromDescriptor(int descriptor, StreamSocketOptions options) => FromHandle(new SocketHandle(descriptor), options);

    internal static StreamSocket FromHandle(SocketHandle handle, StreamSocketOptions options)
    {
        try
        {
            var peer = SocketNames.Peer(handle.Descriptor)?.Address;
            Apply(handle, options, peer);
            return new StreamSocket(handle, options, peer?.ToString() ?? "unix", isUnix: peer is null);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public int Receive(Span<byte> buffer)
    {
        var startedAt = Stopwatch.GetTimestamp();
        var received = ReceiveWithin(buffer, _options.StallLimit - _receivePace.Owed);
        if (received == 0)
        {
            return 0;
        }

        var keepsUp = _receivePace.Note(Stopwatch.GetElapsedTime(startedAt), Math.Max(received, 0), _options);
        return keepsUp && received > 0 ? received : ThrowStalled("sent");
    }

    /// <inheritdoc/>
    public int ReceiveOrIdle(Span<byte> buffer)
    {
        NoteCommand();
        return _options.IdleWindow > TimeSpan.Zero ? ReceiveWithin(buffer, _options.IdleWindow) : ReceiveAvailable(buffer);
    }

    /// <summary>As <see cref="ReceiveOrIdle"/> with an idle window of zero.</summary>
    public int ReceiveAvailable(Span<byte> buffer)
    {
        NoteCommand();
        var descriptor = _handle.Hold();
        try
        {
            return ReceiveOnce(descriptor, buffer, Libc.MessageDontWait);
        }
        finally
        {
            _handle.DangerousRelease();
        }
    }

    /// <summary>A command was finished, or begins: what the peer let this side wait before is forgotten. By the thread that receives.</summary>
    public void NoteCommand() => _receivePace.Reset();

    /// <inheritdoc/>
    public void Send(ReadOnlySpan<byte> first, ReadOnlySpan<byte> second = default, ReadOnlySpan<byte> third = default)
    {
        var parts = stackalloc Libc.IoVector[3];
        var descriptor = _handle.Hold();
        try
        {
            fixed (byte* a = first, b = second, c = third)
            {
                parts[0] = new Libc.IoVector { Data = a, Bytes = (nuint)first.Length };
                parts[1] = new Libc.IoVector { Data = b, Bytes = (nuint)second.Length };
                parts[2] = new Libc.IoVector { Data = c, Bytes = (nuint)third.Length };
                SendAll(descriptor, parts, 3);
            }
        }
        finally
        {
            _handle.DangerousRelease();
        }
    }

    /// <inheritdoc/>
    public void SendWithDescriptors(ReadOnlySpan<byte> data, ReadOnlySpan<int> descriptors)
    {
        var socket = _handle.Hold();
        try
        {
            var startedAt = Stopwatch.GetTimestamp();
            nint sent;
            while ((sent = DescriptorMessage.Send(socket, data, descriptors)) < 0)
            {
                if (Marshal.GetLastPInvokeError() != Libc.WouldBlock || Stopwatch.GetElapsedTime(startedAt) >= _options.StallLimit)
                {
                    ThrowSendFailed();
                }
            }

            Count(ref _bytesSent, sent);
            data = data[(int)sent..];
        }
        finally
        {
            _handle.DangerousRelease();
        }

        Send(data);
    }

    /// <inheritdoc/>
    public int ReceiveWithDescriptors(Span<byte> buffer, Span<int> descriptors, out int count)
    {
        var socket = _handle.Hold();
        try
        {
            var startedAt = Stopwatch.GetTimestamp();
            nint received;
            while ((received = DescriptorMessage.Receive(socket, buffer, descriptors, out count)) < 0)
            {
                if (Marshal.GetLastPInvokeError() != Libc.WouldBlock || Stopwatch.GetElapsedTime(startedAt) >= _options.StallLimit)
                {
                    ThrowReceiveFailed();
                }
            }

            Count(ref _bytesReceived, received);
            return (int)received;
        }
        finally
        {
            _handle.DangerousRelease();
        }
    }

    /// <inheritdoc/>
    public bool IsOpen()
    {
        // What was read from shared memory was read before the state of the socket is.
        Interlocked.MemoryBarrier();
        var descriptor = _handle.Hold();
        try
        {
            var entry = new Libc.PollEntry { Descriptor = descriptor, Wanted = Libc.PollPeerClosed };
            int ready;
            while ((ready = Libc.Poll(&entry, 1, 0)) < 0 && Marshal.GetLastPInvokeError() == Libc.Interrupted)
            {
            }

            return ready == 0 || (ready > 0 && (entry.Seen & (Libc.PollPeerClosed | Libc.PollHangUp | Libc.PollError | Libc.PollInvalid)) == 0);
        }
        finally
        {
            _handle.DangerousRelease();
        }
    }

    /// <summary>Who is at the other end of a Unix socket, as the kernel saw it when the connection was made.</summary>
    public PeerCredentials ReadPeerCredentials() => SocketSettings.ReadPeerCredentials(_handle.Descriptor);

    /// <summary>Ends both directions and wakes the threads that block in this socket. The descriptor stays open. Does nothing after Dispose.</summary>
    public void Shutdown()
    {
        var held = false;
        try
        {
            _handle.DangerousAddRef(ref held);

            // A failure means that the connection has ended already.
            _ = Libc.Shutdown(_handle.Descriptor, Libc.ShutdownBoth);
        }
        catch (ObjectDisposedException)
        {
        }
        finally
        {
            if (held)
            {
                _handle.DangerousRelease();
            }
        }
    }

    /// <summary>
    /// Ends the stream in this direction and drops what the peer sent meanwhile: closing with unread bytes would reset the
    /// connection, and the peer might lose the last answer. Dispose comes after it.
    /// </summary>
    public void Finish()
    {
        var scratch = stackalloc byte[ScratchBytes];
        var descriptor = _handle.Hold();
        _ = Libc.Shutdown(descriptor, Libc.ShutdownWrite);
        for (var round = 0; round < MaxDiscardRounds && Libc.Receive(descriptor, scratch, ScratchBytes, Libc.MessageDontWait) > 0; round++)
        {
        }

        _handle.DangerousRelease();
    }

    public void Dispose() => _handle.Dispose();

    /// <summary>For the readiness set: takes a reference so that the number stays this socket's. Pair with <see cref="Release"/>.</summary>
    internal int Hold() => _handle.Hold();

    internal void Release() => _handle.DangerousRelease();

    private static void Apply(SocketHandle handle, StreamSocketOptions options, IPAddress? peer)
    {
        SocketSettings.Apply(handle.Descriptor, options, isUnix: peer is null);
        SocketSettings.SetLoopbackBuffer(handle.Descriptor, options, peer);
    }

    private static void Count(ref long total, nint bytes) => Volatile.Write(ref total, total + bytes);

    /// <summary>
    /// Blocks until bytes come, the stream ends, or the time is over (-1, with the last error saying so). The kernel wakes the
    /// thread at the end of every idle window, so that one call serves both kinds of waiting and none needs a poll.
    /// </summary>
    private int ReceiveWithin(Span<byte> buffer, TimeSpan time)
    {
        var descriptor = _handle.Hold();
        try
        {
            var received = ReceiveOnce(descriptor, buffer, 0);
            if (received >= 0 || time <= SocketSettings.ReceiveTick(_options))
            {
                return received;
            }

            var tickedAt = Stopwatch.GetTimestamp();
            while (received < 0 && Stopwatch.GetElapsedTime(tickedAt) + SocketSettings.ReceiveTick(_options) < time)
            {
                received = ReceiveOnce(descriptor, buffer, 0);
            }

            return received;
        }
        finally
        {
            _handle.DangerousRelease();
        }
    }

    /// <summary>Returns -1 when nothing came; any other failure throws.</summary>
    private int ReceiveOnce(int descriptor, Span<byte> buffer, int flags)
    {
        Debug.Assert(!buffer.IsEmpty, "an empty buffer cannot tell bytes from the end of the stream");
        fixed (byte* target = buffer)
        {
            while (true)
            {
                var received = Libc.Receive(descriptor, target, (nuint)buffer.Length, flags);
                if (received >= 0)
                {
                    Count(ref _bytesReceived, received);
                    return (int)received;
                }

                switch (Marshal.GetLastPInvokeError())
                {
                    case Libc.WouldBlock:
                        return -1;
                    case Libc.Interrupted:
                        continue;
                    default:
                        return ThrowReceiveFailed();
                }
            }
        }
    }

    /// <summary>
    /// The first call to the kernel is not timed: a send that it takes whole, as nearly all are, pays nothing for the clock.
    /// </summary>
    private void SendAll(int descriptor, Libc.IoVector* parts, int count)
    {
        var pace = default(PeerPace);
        long waitingSince = 0;
        while (HasBytes(ref parts, ref count))
        {
            var sent = SendSome(descriptor, parts, count);
            SocketCalls.Advance(parts, (nuint)sent);
            if (!HasBytes(ref parts, ref count))
            {
                return;
            }

            var now = Stopwatch.GetTimestamp();
            if (waitingSince > 0 && !pace.Note(Stopwatch.GetElapsedTime(waitingSince, now), sent, _options))
            {
                ThrowStalled("took");
            }

            waitingSince = now;
        }
    }

    /// <summary>Moves to the first part that is not empty; false when there is none.</summary>
    private static bool HasBytes(ref Libc.IoVector* parts, ref int count)
    {
        while (count > 0 && parts->Bytes == 0)
        {
            parts++;
            count--;
        }

        return count > 0;
    }

    /// <summary>One call to the kernel. Returns the bytes that it took, 0 when the peer made no room meanwhile.</summary>
    private nint SendSome(int descriptor, Libc.IoVector* parts, int count)
    {
        var message = new Libc.MessageHeader { Parts = parts, PartCount = (nuint)count };
        while (true)
        {
            var sent = Libc.SendMessage(descriptor, &message, Libc.MessageNoSignal);
            if (sent >= 0)
            {
                Count(ref _bytesSent, sent);
                return sent;
            }

            switch (Marshal.GetLastPInvokeError())
            {
                case Libc.WouldBlock:
                    return 0;
                case Libc.Interrupted:
                    continue;
                default:
                    ThrowSendFailed();
                    break;
            }
        }
    }

    [DoesNotReturn]
    private int ThrowReceiveFailed() => throw (Marshal.GetLastPInvokeError() == Libc.WouldBlock ? Stall("sent") : Loss("Receiving from"));

    [DoesNotReturn]
    private void ThrowSendFailed() => throw (Marshal.GetLastPInvokeError() == Libc.WouldBlock ? Stall("took") : Loss("Sending to"));

    [DoesNotReturn]
    private int ThrowStalled(string verb) => throw Stall(verb);

    private ChannelException Stall(string verb)
    {
        var amount = _options.MinBytesPerSecond > 0 ? $"less than {_options.MinBytesPerSecond} bytes/s" : "nothing";
        return new ChannelException($"The peer {RemoteAddress} {verb} {amount} for {_options.StallLimit.TotalSeconds:0.###} s in the middle of a command.")
        {
            Fault = ChannelFault.Stalled,
        };
    }

    private ChannelException Loss(string operation) => new($"{operation} {RemoteAddress} failed: {Libc.LastErrorText()}.");
}
