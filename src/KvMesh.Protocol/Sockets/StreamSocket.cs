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
public sealed unsafe class StreamSocket : IDescriptorChannel, IDisposable
{
    private const int ScratchBytes = 4096;
    private const int MaxDiscardRounds = 256;

    private readonly SocketHandle _handle;
    private readonly StreamSocketOptions _options;
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
            var peer = SocketNames.Peer(handle.Descriptor);
            var isUnix = peer is null;
            SocketSettings.Apply(handle.Descriptor, options, isUnix);
            SocketSettings.SetLoopbackBuffer(handle.Descriptor, options, peer?.Address);
            return new StreamSocket(handle, options, isUnix ? "unix" : peer!.Address.ToString(), isUnix);
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
        var received = ReceiveWithin(buffer, _options.StallLimit);
        return received >= 0 ? received : ThrowReceiveFailed();
    }

    /// <inheritdoc/>
    public int ReceiveOrIdle(Span<byte> buffer) =>
        _options.IdleWindow > TimeSpan.Zero ? ReceiveWithin(buffer, _options.IdleWindow) : ReceiveAvailable(buffer);

    /// <summary>As <see cref="ReceiveOrIdle"/> with an idle window of zero.</summary>
    public int ReceiveAvailable(Span<byte> buffer)
    {
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
            var sent = DescriptorMessage.Send(socket, data, descriptors);
            Count(ref _bytesSent, sent < 0 ? ThrowSendFailed() : sent);
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

    private void SendAll(int descriptor, Libc.IoVector* parts, int count)
    {
        var message = new Libc.MessageHeader();
        while (true)
        {
            while (count > 0 && parts->Bytes == 0)
            {
                parts++;
                count--;
            }

            if (count == 0)
            {
                return;
            }

            message.Parts = parts;
            message.PartCount = (nuint)count;
            var sent = Libc.SendMessage(descriptor, &message, Libc.MessageNoSignal);
            if (sent < 0)
            {
                if (Marshal.GetLastPInvokeError() != Libc.Interrupted)
                {
                    ThrowSendFailed();
                }

                continue;
            }

            Count(ref _bytesSent, sent);
            SocketCalls.Advance(parts, (nuint)sent);
        }
    }

    [DoesNotReturn]
    private int ThrowReceiveFailed() => throw Failure("sent", "Receiving from");

    [DoesNotReturn]
    private int ThrowSendFailed() => throw Failure("took", "Sending to");

    private ChannelException Failure(string verb, string operation) => Marshal.GetLastPInvokeError() == Libc.WouldBlock
        ? new ChannelException($"The peer {RemoteAddress} {verb} nothing for {_options.StallLimit.TotalSeconds:0.###} s in the middle of a command.") { Fault = ChannelFault.Stalled }
        : new ChannelException($"{operation} {RemoteAddress} failed: {Libc.LastErrorText()}.");
}
