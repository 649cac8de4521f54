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
        var address = endpoint.Serialize();
        var handle = new SocketHandle(Libc.Socket((int)FamilyOf(endpoint), Libc.SocketStream | Libc.SocketCloseOnExec, 0));
        try
        {
            if (handle.IsInvalid)
            {
                throw Failure(endpoint, Marshal.GetLastPInvokeError());
            }

            SocketSettings.SetBuffers(handle.Descriptor, options);

            // The kernel applies the send timeout to connect as well.
            SocketSettings.SetTimeout(handle.Descriptor, Libc.OptionSendTimeout, options.ConnectTimeout);
            fixed (byte* name = address.Buffer.Span)
            {
                if (Libc.Connect(handle.Descriptor, name, (uint)address.Size) < 0)
                {
                    Finish(handle.Descriptor, endpoint, options, Marshal.GetLastPInvokeError());
                }
            }

            return StreamSocket.FromHandle(handle, options);
        }
        catch
        {
            handle.Dispose();
            throw;
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
