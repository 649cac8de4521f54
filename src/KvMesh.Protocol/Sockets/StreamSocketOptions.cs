namespace KvMesh.Protocol.Sockets;

/// <summary>How a stream socket behaves. Immutable; one instance serves many sockets.</summary>
public sealed record StreamSocketOptions
{
    /// <summary>The defaults.</summary>
    public static StreamSocketOptions Default { get; } = new();

    /// <summary>How long a silent peer keeps a thread at a command boundary before <see cref="IByteChannel.ReceiveOrIdle"/> returns -1. Rounded up to ticks of the kernel (1 to 10 ms); 0: not at all.</summary>
    public TimeSpan IdleWindow { get; init; } = TimeSpan.FromMilliseconds(20);

    /// <summary>
    /// How long a peer may make no progress in the middle of a command. A send begins to count after a quarter of a second at most, and
    /// notices the end that much later.
    /// </summary>
    public TimeSpan StallLimit { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Slowest pace of a peer in the middle of a command, in bytes per second: each byte pays for so much waiting, and a peer that owes
    /// more than <see cref="StallLimit"/> has stalled. 0: any byte pays for all.
    /// </summary>
    public long MinBytesPerSecond { get; init; }

    /// <summary>How long <see cref="StreamSocket.Connect"/> waits for each address of an endpoint.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>TCP congestion control algorithm, for example <c>cubic</c>; empty: the system's.</summary>
    public string CongestionControl { get; init; } = "";

    /// <summary>Kernel send buffer in bytes; 0: the system sizes it.</summary>
    public int SendBufferBytes { get; init; }

    /// <summary>
    /// Kernel send buffer towards a peer on this machine, unless <see cref="SendBufferBytes"/> is set; 0: the system sizes it. The system's
    /// buffer grows to megabytes: a large block then leaves the cache before the peer reads it, which cost twice the CPU time per byte.
    /// </summary>
    public int LoopbackSendBufferBytes { get; init; } = 512 * 1024;

    /// <summary>Kernel receive buffer in bytes; 0: the system sizes it.</summary>
    public int ReceiveBufferBytes { get; init; }
}
