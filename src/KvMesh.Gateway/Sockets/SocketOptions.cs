using System.ComponentModel.DataAnnotations;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Gateway.Sockets;

/// <summary>How the node treats data-plane connections, on every protocol. Bound from the section <c>Net</c>.</summary>
public sealed class SocketOptions
{
    /// <summary>Most connections at a time; one more is accepted and closed at once, and counted. An idle connection costs a descriptor and about 1 KiB.</summary>
    [Range(1, 1_000_000)]
    public int MaxConnections { get; set; } = 10_000;

    /// <summary>Most threads that serve connections. Each serves one connection that is busy; more busy ones take turns at command boundaries.</summary>
    [Range(1, 4096)]
    public int MaxWorkers { get; set; } = 256;

    /// <summary>
    /// How long a peer may let the node wait in the middle of a command, beyond what the bytes it moves are worth at
    /// <see cref="MinBytesPerSecond"/>, before its connection ends. A connection that is idle between commands is never ended.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00.001", "01:00:00")]
    public TimeSpan StallLimit { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Slowest pace, in bytes per second, at which a peer may send a command or take an answer once <see cref="StallLimit"/> is used up:
    /// a trickle holds no thread and no block for ever. 0: any byte counts as progress.
    /// </summary>
    [Range(0, 1L << 40)]
    public long MinBytesPerSecond { get; set; } = 64 * 1024;

    /// <summary>How long a silent connection keeps its thread before it is parked. 0: parked at once. Longer saves two thread switches a command to clients that pause.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:00:10")]
    public TimeSpan IdleWindow { get; set; } = TimeSpan.FromMilliseconds(20);

    /// <summary>TCP congestion control of accepted connections, for example <c>cubic</c>; it must be in net.ipv4.tcp_allowed_congestion_control. Empty: the system's default.</summary>
    public string CongestionControl { get; set; } = "";

    /// <summary>
    /// Kernel send buffer towards TCP peers on this machine, in bytes; 0: the system sizes it, which costs twice the CPU time per byte of
    /// a large block, as it leaves the cache before the peer reads it.
    /// </summary>
    [Range(0, 1 << 30)]
    public int LoopbackSendBufferBytes { get; set; } = StreamSocketOptions.Default.LoopbackSendBufferBytes;

    internal StreamSocketOptions ToStreamOptions() => new()
    {
        IdleWindow = IdleWindow,
        StallLimit = StallLimit,
        MinBytesPerSecond = MinBytesPerSecond,
        CongestionControl = CongestionControl,
        LoopbackSendBufferBytes = LoopbackSendBufferBytes,
    };
}
