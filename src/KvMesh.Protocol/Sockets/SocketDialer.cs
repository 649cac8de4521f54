using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace KvMesh.Protocol.Sockets;

/// <summary>Makes connections, one address after the other for a host name.</summary>
internal static unsafe class SocketDialer
{
    public static StreamSocket Connect(EndPoint endpoint, StreamSocketOptions options)
    {
        ChannelException? last = null;
        foreach (var address in Resolve(endpoint))
        {
            try
            {
                return ConnectOne(address, options);
            }
            catch (ChannelException failure)
            {
                last = failure;
            }
        }

        throw last ?? new ChannelException($"The name of {StreamEndpoint.Describe(endpoint)} has no address.");
    }

    /// <summary>Begins to connect to one address. The handle must not be used for anything else before <see cref="TryFinish"/>.</summary>
    /// <param name="isConnected">Whether it is connected already, and ready for use.</param>
    public static SocketHandle Begin(EndPoint endpoint, StreamSocketOptions options, out bool isConnected)
    {
        Debug.Assert(endpoint is not DnsEndPoint, "resolving a name would wait");

        // A Unix socket has no handshake that could be waited for: connecting takes no time, or as long as the listener's queue is full.
        var isUnix = endpoint.AddressFamily == AddressFamily.Unix;
        var kind = Libc.SocketStream | Libc.SocketCloseOnExec | (isUnix ? 0 : Libc.SocketNonBlocking);
        var handle = new SocketHandle(Libc.Socket(FamilyOf(endpoint), kind, 0));
        try
        {
            var error = Call(handle, endpoint, options);
            isConnected = error == 0;
            if (error is not (0 or Libc.InProgress))
            {
                throw Failure(endpoint, error);
            }

            if (isConnected && !isUnix)
            {
                SetBlocking(handle.Descriptor);
            }

            return handle;
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>Whether a connection is made by now, so that the handle is ready for use.</summary>
    /// <exception cref="ChannelException">Nobody answers there.</exception>
    public static bool TryFinish(SocketHandle handle, EndPoint endpoint, TimeSpan elapsed, StreamSocketOptions options)
    {
        var entry = new Libc.PollEntry { Descriptor = handle.Descriptor, Wanted = Libc.PollOut };
        if (Libc.Poll(&entry, 1, 0) <= 0)
        {
            return elapsed < options.ConnectTimeout ? false : throw Failure(endpoint, Libc.InProgress);
        }

        if (SocketSettings.ReadError(handle.Descriptor) is var outcome and not 0)
        {
            throw Failure(endpoint, outcome);
        }

        SetBlocking(handle.Descriptor);
        return true;
    }

    private static void SetBlocking(int descriptor)
    {
        // The flags of a socket that this program made are this one only.
        if (Libc.Control(descriptor, Libc.FcntlSetFlags, 0) < 0)
        {
            throw new ChannelException($"The kernel refuses to make a socket block: {Libc.LastErrorText()}.");
        }
    }

    private static IEnumerable<EndPoint> Resolve(EndPoint endpoint)
    {
        if (endpoint is not DnsEndPoint name)
        {
            return [endpoint];
        }

        try
        {
            return Dns.GetHostAddresses(name.Host).Select(address => new IPEndPoint(address, name.Port));
        }
        catch (SocketException failure)
        {
            throw new ChannelException($"The host {name.Host} cannot be resolved: {failure.Message}", failure);
        }
    }

    private static StreamSocket ConnectOne(EndPoint endpoint, StreamSocketOptions options)
    {
        var handle = new SocketHandle(Libc.Socket(FamilyOf(endpoint), Libc.SocketStream | Libc.SocketCloseOnExec, 0));
        try
        {
            if (Call(handle, endpoint, options) is var error and not 0)
            {
                Finish(handle.Descriptor, endpoint, options, error);
            }

            return StreamSocket.FromHandle(handle, options);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>The call to the kernel. 0, or its error.</summary>
    private static int Call(SocketHandle handle, EndPoint endpoint, StreamSocketOptions options)
    {
        if (handle.IsInvalid)
        {
            return Marshal.GetLastPInvokeError();
        }

        var address = endpoint.Serialize();
        SocketSettings.SetBuffers(handle.Descriptor, options);

        // The kernel applies the send timeout to connect as well.
        SocketSettings.SetTimeout(handle.Descriptor, Libc.OptionSendTimeout, options.ConnectTimeout);
        fixed (byte* name = address.Buffer.Span)
        {
            return Libc.Connect(handle.Descriptor, name, (uint)address.Size) < 0 ? Marshal.GetLastPInvokeError() : 0;
        }
    }

    /// <summary>A connect that a signal interrupted goes on by itself; any other error is final.</summary>
    private static void Finish(int descriptor, EndPoint endpoint, StreamSocketOptions options, int error)
    {
        if (error != Libc.Interrupted)
        {
            throw Failure(endpoint, error);
        }

        var entry = new Libc.PollEntry { Descriptor = descriptor, Wanted = Libc.PollOut };
        while (Libc.Poll(&entry, 1, (int)options.ConnectTimeout.TotalMilliseconds) is var ready && ready <= 0)
        {
            if (ready == 0 || Marshal.GetLastPInvokeError() != Libc.Interrupted)
            {
                throw Failure(endpoint, Libc.InProgress);
            }
        }

        if (SocketSettings.ReadError(descriptor) is var outcome and not 0)
        {
            throw Failure(endpoint, outcome);
        }
    }

    private static int FamilyOf(EndPoint endpoint) => endpoint.AddressFamily switch
    {
        AddressFamily.Unix => Libc.FamilyUnix,
        AddressFamily.InterNetworkV6 => Libc.FamilyIPv6,
        _ => Libc.FamilyIPv4,
    };

    private static ChannelException Failure(EndPoint endpoint, int error)
    {
        var reason = error is Libc.InProgress or Libc.WouldBlock ? "nobody answered in time" : Marshal.GetPInvokeErrorMessage(error);
        return new ChannelException($"Connecting to {StreamEndpoint.Describe(endpoint)} failed: {reason}.") { IsRefusal = error == Libc.ConnectionRefused };
    }
}
