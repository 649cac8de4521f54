using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace KvMesh.Protocol.Sockets;

/// <summary>What one wait for a connection brought.</summary>
public enum AcceptOutcome
{
    Accepted,

    /// <summary><see cref="StreamListener.Interrupt"/> was called.</summary>
    Interrupted,

    /// <summary>The process or the machine has no descriptor or memory left; connections wait in the backlog.</summary>
    Exhausted,
}

/// <summary>
/// A listening TCP or Unix socket. One thread accepts; Interrupt and Dispose may come from any thread, Dispose only after the
/// accepting thread has ended. The descriptor may be shared with another process during a handover, so stopping never
/// shuts it down.
/// </summary>
public sealed unsafe class StreamListener : IDisposable
{
    /// <summary>Connections that the kernel completes before they are accepted; the kernel cuts it to net.core.somaxconn.</summary>
    public const int DefaultBacklog = 1024;

    private const uint OwnerOnly = 0b110_000_000;

    private readonly SocketHandle _handle;
    private readonly WakeEvent _wake = new();
    private string? _ownedPath;

    private StreamListener(SocketHandle handle, string? ownedPath)
    {
        _handle = handle;
        _ownedPath = ownedPath;
        LocalEndPoint = SocketNames.Local(handle.Descriptor);
    }

    /// <summary>The address in effect; the port is the one the kernel chose when 0 was asked.</summary>
    public EndPoint LocalEndPoint { get; }

    /// <summary>The descriptor, for passing it on. Valid while this listener is not disposed.</summary>
    public int Descriptor => _handle.Descriptor;

    /// <summary>
    /// Binds and listens. A Unix socket gets mode 0600, and a path that a dead process left behind is replaced.
    /// Throws <see cref="AddressInUseException"/> when somebody listens there already, <see cref="IOException"/> otherwise.
    /// </summary>
    public static StreamListener Bind(EndPoint endpoint, StreamSocketOptions options, int backlog = DefaultBacklog)
    {
        var path = endpoint is UnixDomainSocketEndPoint ? endpoint.ToString() : null;
        var family = path is not null ? Libc.FamilyUnix : endpoint.AddressFamily == AddressFamily.InterNetworkV6 ? Libc.FamilyIPv6 : Libc.FamilyIPv4;
        var handle = new SocketHandle(Libc.Socket(family, Libc.SocketStream | Libc.SocketCloseOnExec | Libc.SocketNonBlocking, 0));
        try
        {
            if (handle.IsInvalid)
            {
                throw Failure(endpoint);
            }

            SocketSettings.SetBuffers(handle.Descriptor, options);
            if (path is null)
            {
                SocketSettings.Set(handle.Descriptor, Libc.LevelSocket, Libc.OptionReuseAddress, 1);
            }
            else
            {
                // The mode of the unbound socket becomes the mode of the file: there is no moment at which others may connect.
                _ = Libc.SetMode(handle.Descriptor, OwnerOnly);
                StaleSocketFile.RemoveIfNobodyAnswers(path, options);
            }

            BindOnce(handle, endpoint);
            if (Libc.Listen(handle.Descriptor, backlog) < 0)
            {
                throw Failure(endpoint);
            }

            return new StreamListener(handle, path);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>Takes ownership of a listening descriptor that another process handed over, and of its path.</summary>
    public static StreamListener FromDescriptor(int descriptor)
    {
        var handle = new SocketHandle(descriptor);
        try
        {
            return new StreamListener(handle, SocketNames.Local(descriptor) is UnixDomainSocketEndPoint path ? path.ToString() : null);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>Waits for the next connection. A connection that its peer gave up meanwhile is passed over.</summary>
    public AcceptOutcome Accept(StreamSocketOptions options, out StreamSocket? socket)
    {
        socket = null;
        var entries = stackalloc Libc.PollEntry[2];
        while (true)
        {
            entries[0] = new Libc.PollEntry { Descriptor = _wake.Descriptor, Wanted = Libc.PollIn };
            entries[1] = new Libc.PollEntry { Descriptor = _handle.Descriptor, Wanted = Libc.PollIn };
            if (Libc.Poll(entries, 2, -1) < 0)
            {
                continue;
            }

            if (entries[0].Seen != 0)
            {
                _wake.Clear();
                return AcceptOutcome.Interrupted;
            }

            var descriptor = Libc.Accept(_handle.Descriptor, null, null, Libc.SocketCloseOnExec);
            if (descriptor >= 0)
            {
                socket = TryWrap(descriptor, options);
                if (socket is not null)
                {
                    return AcceptOutcome.Accepted;
                }
            }
            else if (Marshal.GetLastPInvokeError() is Libc.TooManyDescriptors or Libc.TableFull or Libc.NoBuffers or Libc.NoMemory)
            {
                return AcceptOutcome.Exhausted;
            }
        }
    }

    /// <summary>Waits until <see cref="Interrupt"/> or until the time is over: the pause after <see cref="AcceptOutcome.Exhausted"/>. True when interrupted.</summary>
    public bool WaitForInterrupt(TimeSpan time)
    {
        if (!SocketCalls.WaitReadable(_wake.Descriptor, (int)time.TotalMilliseconds))
        {
            return false;
        }

        _wake.Clear();
        return true;
    }

    /// <summary>Ends the present or the next Accept.</summary>
    public void Interrupt() => _wake.Set();

    /// <summary>Leaves the path of a Unix socket in place at Dispose: another process listens on it now.</summary>
    public void KeepPath() => _ownedPath = null;

    public void Dispose()
    {
        if (_ownedPath is not null && !_handle.IsClosed)
        {
            File.Delete(_ownedPath);
        }

        _handle.Dispose();
        _wake.Dispose();
    }

    private static StreamSocket? TryWrap(int descriptor, StreamSocketOptions options)
    {
        try
        {
            return StreamSocket.FromDescriptor(descriptor, options);
        }
        catch (ChannelException)
        {
            // The peer went away between the handshake and here; the descriptor is closed.
            return null;
        }
    }

    private static void BindOnce(SocketHandle handle, EndPoint endpoint)
    {
        var address = endpoint.Serialize();
        fixed (byte* name = address.Buffer.Span)
        {
            if (Libc.Bind(handle.Descriptor, name, (uint)address.Size) < 0)
            {
                throw Failure(endpoint);
            }
        }
    }

    private static IOException Failure(EndPoint endpoint) => Marshal.GetLastPInvokeError() switch
    {
        Libc.AddressInUse => new AddressInUseException($"{StreamEndpoint.Describe(endpoint)} is in use: another process listens there."),
        Libc.PermissionDenied => new IOException($"Listening on {StreamEndpoint.Describe(endpoint)} is not permitted to this user."),
        Libc.AddressNotAvailable => new IOException($"Listening on {StreamEndpoint.Describe(endpoint)} failed: this machine has no such address."),
        _ => new IOException($"Listening on {StreamEndpoint.Describe(endpoint)} failed: {Libc.LastErrorText()}."),
    };
}
