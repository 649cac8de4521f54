using System.Net;
using System.Runtime.InteropServices;
using System.Text;

namespace KvMesh.Protocol.Sockets;

/// <summary>Socket options. Callers own the descriptor and know that nobody closes it meanwhile.</summary>
internal static unsafe class SocketSettings
{
    // A peer whose machine vanished is noticed after about four minutes; a living idle peer is never cut.
    private const int KeepAliveIdleSeconds = 120;
    private const int KeepAliveIntervalSeconds = 30;
    private const int KeepAliveProbes = 4;

    private static readonly TimeSpan LongestSendTick = TimeSpan.FromMilliseconds(250);

    public static void Apply(int descriptor, StreamSocketOptions options, bool isUnix)
    {
        SetTimeout(descriptor, Libc.OptionReceiveTimeout, ReceiveTick(options));
        SetTimeout(descriptor, Libc.OptionSendTimeout, SendTick(options));
        SetBuffers(descriptor, options);
        if (!isUnix)
        {
            Set(descriptor, Libc.LevelTcp, Libc.TcpNoDelay, 1);
            Set(descriptor, Libc.LevelSocket, Libc.OptionKeepAlive, 1);
            Set(descriptor, Libc.LevelTcp, Libc.TcpKeepIdle, KeepAliveIdleSeconds);
            Set(descriptor, Libc.LevelTcp, Libc.TcpKeepInterval, KeepAliveIntervalSeconds);
            Set(descriptor, Libc.LevelTcp, Libc.TcpKeepCount, KeepAliveProbes);
            SetCongestionControl(descriptor, options.CongestionControl);
        }
    }

    /// <summary>How long one receive blocks: the idle window, or less when stalls are to be noticed earlier.</summary>
    public static TimeSpan ReceiveTick(StreamSocketOptions options) =>
        options.IdleWindow > TimeSpan.Zero && options.IdleWindow < options.StallLimit ? options.IdleWindow : options.StallLimit;

    /// <summary>
    /// How long one send blocks. On a Unix socket the kernel waits that long for each buffer of 32 KiB, so that it must be short for a
    /// reader of a few bytes to be noticed within one large send.
    /// </summary>
    public static TimeSpan SendTick(StreamSocketOptions options) => options.StallLimit < LongestSendTick ? options.StallLimit : LongestSendTick;

    /// <summary>Kernel buffers must be sized before the handshake to count for the window scale: the dialer and the listener call this too.</summary>
    public static void SetBuffers(int descriptor, StreamSocketOptions options)
    {
        if (options.SendBufferBytes > 0)
        {
            Set(descriptor, Libc.LevelSocket, Libc.OptionSendBuffer, options.SendBufferBytes);
        }

        if (options.ReceiveBufferBytes > 0)
        {
            Set(descriptor, Libc.LevelSocket, Libc.OptionReceiveBuffer, options.ReceiveBufferBytes);
        }
    }

    /// <summary>Keeps what is under way between two processes of one machine in the cache.</summary>
    public static void SetLoopbackBuffer(int descriptor, StreamSocketOptions options, IPAddress? peer)
    {
        if (peer is not null && options.SendBufferBytes == 0 && options.LoopbackSendBufferBytes > 0 && IPAddress.IsLoopback(peer))
        {
            Set(descriptor, Libc.LevelSocket, Libc.OptionSendBuffer, options.LoopbackSendBufferBytes);
        }
    }

    public static void SetTimeout(int descriptor, int option, TimeSpan timeout)
    {
        // Zero would mean "for ever" to the kernel.
        var microseconds = Math.Max(1, (long)timeout.TotalMicroseconds);
        var value = new Libc.TimeValue { Seconds = microseconds / 1_000_000, Microseconds = microseconds % 1_000_000 };
        Check(Libc.SetOption(descriptor, Libc.LevelSocket, option, &value, (uint)sizeof(Libc.TimeValue)), "a socket timeout");
    }

    public static void Set(int descriptor, int level, int option, int value) =>
        Check(Libc.SetOption(descriptor, level, option, &value, sizeof(int)), $"socket option {level}/{option}");

    public static int ReadError(int descriptor)
    {
        var error = 0;
        var bytes = (uint)sizeof(int);
        return Libc.GetOption(descriptor, Libc.LevelSocket, Libc.OptionError, &error, &bytes) == 0 ? error : Marshal.GetLastPInvokeError();
    }

    public static PeerCredentials ReadPeerCredentials(int descriptor)
    {
        PeerCredentials credentials = default;
        var bytes = (uint)sizeof(PeerCredentials);
        Check(Libc.GetOption(descriptor, Libc.LevelSocket, Libc.OptionPeerCredentials, &credentials, &bytes), "the peer's credentials");
        return credentials;
    }

    private static void SetCongestionControl(int descriptor, string name)
    {
        if (name.Length == 0)
        {
            return;
        }

        var bytes = Encoding.ASCII.GetBytes(name);
        fixed (byte* value = bytes)
        {
            Check(Libc.SetOption(descriptor, Libc.LevelTcp, Libc.TcpCongestion, value, (uint)bytes.Length), $"congestion control '{name}'");
        }
    }

    private static void Check(int result, string what)
    {
        if (result < 0)
        {
            throw new ChannelException($"The kernel refuses {what}: {Libc.LastErrorText()}.");
        }
    }
}
