using System.ComponentModel.DataAnnotations;
using KvMesh.Gateway.Resp;
using KvMesh.Protocol;

namespace KvMesh.Server.Options;

/// <summary>One listening TCP socket.</summary>
public class ListenerOptions
{
    /// <summary>Whether the node listens here at all.</summary>
    public bool Enabled { get; set; } = true;

    /// <summary>IP address to listen on, or <c>localhost</c>. Other than loopback needs credentials.</summary>
    [Required]
    public string Address { get; set; } = "127.0.0.1";

    /// <summary>Port; 0: any free one.</summary>
    [Range(0, 65535)]
    public int Port { get; set; }
}

/// <summary>The native door over TCP, and what holds for it on every socket.</summary>
public sealed class NativeListenerOptions : ListenerOptions
{
    /// <summary>Most watchers that wait for events at a time: each holds a thread that serves connections. Further ones are refused; 0: all are.</summary>
    [Range(0, 4096)]
    public int MaxWatchers { get; set; } = 32;
}

/// <summary>The Redis door.</summary>
public sealed class RespListenerOptions : ListenerOptions
{
    /// <summary>What the door promises and how much one connection may use.</summary>
    public RespOptions Rules { get; set; } = new();
}

/// <summary>The HTTP door.</summary>
public sealed class HttpOptions
{
    /// <summary>IP address to listen on, or <c>localhost</c>. Other than loopback needs credentials.</summary>
    [Required]
    public string Address { get; set; } = "127.0.0.1";

    /// <summary>Port; 0: any free one.</summary>
    [Range(0, 65535)]
    public int Port { get; set; } = 8600;

    /// <summary>
    /// Names under which browsers may call a node that asks for no credential, beside IP addresses, localhost and the machine's
    /// name. Others are refused, so that no foreign page reaches the node through a name of its own.
    /// </summary>
    public IList<string> AllowedHosts { get; } = [];

    /// <summary>Most requests a second of one address, over bursts of twice as many; 0: no limit.</summary>
    [Range(0, 1_000_000)]
    public int MaxRequestsPerSecond { get; set; } = 500;

    /// <summary>Most HTTP connections open at once; 0: no limit.</summary>
    [Range(0, 1_000_000)]
    public int MaxConnections { get; set; } = 1024;
}

/// <summary>One listening Unix socket.</summary>
public sealed class UnixSocketOptions
{
    /// <summary>Whether the node listens here at all.</summary>
    public bool Enabled { get; set; } = true;

    /// <summary>Path, at most 107 bytes. Empty: <c>native.sock</c> in the data directory.</summary>
    public string Path { get; set; } = "";

    /// <summary>Whether clients here may map their tenant's arena and write through staging files.</summary>
    public bool SharedMemory { get; set; } = true;

    /// <summary>Largest staging file of one connection, in bytes; a client that asks for more gets this much. 0: none.</summary>
    [Range(0, 1L << 40)]
    public long StagingBytes { get; set; } = Limits.MaxBlockBytes;

    /// <summary>Bytes of all staging files together; a connection that would exceed them writes over its socket.</summary>
    [Range(0, 1L << 50)]
    public long TotalStagingBytes { get; set; } = 1L << 30;
}
