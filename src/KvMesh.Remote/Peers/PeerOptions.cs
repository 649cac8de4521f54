using System.ComponentModel.DataAnnotations;
using KvMesh.Remote.Resilience;

namespace KvMesh.Remote.Peers;

/// <summary>How this node reads from others.</summary>
public sealed class PeerOptions
{
    /// <summary>Most connections to one node. Orders in the background use half of them at most.</summary>
    [Range(2, 1024)]
    public int Connections { get; set; } = 16;

    /// <summary>Most reads that wait for a connection to one node; a further one goes to another holder, or is a miss.</summary>
    [Range(0, 65536)]
    public int MaxWaiters { get; set; } = 64;

    /// <summary>Longest time that connecting to a node may take.</summary>
    public TimeSpan ConnectTimeout { get; set; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Longest time that a look-up waits for directory nodes; what this node's own map knows costs no wait.</summary>
    public TimeSpan DirectoryWait { get; set; } = TimeSpan.FromMilliseconds(20);

    /// <summary>Blocks of this size and above are read from several holders at once, where there are several.</summary>
    [Range(1 << 20, Protocol.Limits.MaxBlockBytes)]
    public int SplitBytes { get; set; } = 8 << 20;

    /// <summary>Bytes that one holder is asked for at a time when a block is split.</summary>
    [Range(1 << 16, Protocol.Limits.MaxBlockBytes)]
    public int RangeBytes { get; set; } = 4 << 20;

    /// <summary>After this a second holder is asked, until enough was read from a node to know how long it takes.</summary>
    public TimeSpan FirstHedge { get; set; } = TimeSpan.FromMilliseconds(30);

    /// <summary>A second holder is never asked earlier, however fast a node usually is.</summary>
    public TimeSpan ShortestHedge { get; set; } = TimeSpan.FromMilliseconds(2);

    /// <summary>When a node that fails is left alone, and for how long.</summary>
    public BreakerOptions Breaker { get; } = new();
}
