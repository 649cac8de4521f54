using System.ComponentModel.DataAnnotations;
using KvMesh.Cluster.Placement;
using KvMesh.Cluster.Sequences;
using KvMesh.Engine;
using KvMesh.Gateway.Sockets;
using KvMesh.Server.Mesh;

namespace KvMesh.Server.Options;

/// <summary>
/// Everything an operator can set on a node. <see cref="NodeOptionsReader"/> fills it from a file, the environment and the
/// command line; programs that embed a node may fill it themselves.
/// </summary>
public sealed class NodeOptions
{
    /// <summary>Name of the node in figures and logs. Empty: the machine's name and four digits of the data directory.</summary>
    [MaxLength(64)]
    public string NodeId { get; set; } = "";

    /// <summary>Folder of the node's state. Empty: <c>kvmesh</c> in $XDG_STATE_HOME or ~/.local/state.</summary>
    public string DataDirectory { get; set; } = "";

    /// <summary>Whether the node serves the dashboard at <c>/</c> of its HTTP address.</summary>
    public bool Console { get; set; } = true;

    /// <summary>Allows addresses that other machines reach without any credential. Whoever reaches them owns the cache.</summary>
    public bool Insecure { get; set; }

    /// <summary>Admin API, metrics and dashboard.</summary>
    public HttpOptions Http { get; set; } = new();

    /// <summary>The native protocol over TCP.</summary>
    public NativeListenerOptions Native { get; set; } = new() { Port = 8601 };

    /// <summary>The native protocol over a Unix socket, the door to shared memory.</summary>
    public UnixSocketOptions Unix { get; set; } = new();

    /// <summary>The Redis protocol.</summary>
    public RespListenerOptions Resp { get; set; } = new() { Port = 8602 };

    /// <summary>How connections of the native and the Redis protocol are treated.</summary>
    public SocketOptions Net { get; set; } = new();

    /// <summary>How the node works with others as one cache.</summary>
    public MeshOptions Mesh { get; set; } = new();

    /// <summary>What sequences may take: sessions of applications, with their segments and pins.</summary>
    public SequenceOptions Sequences { get; set; } = new();

    /// <summary>How blocks are brought to where they will be needed, and kept where they were promised.</summary>
    public PlacementServiceOptions Placement { get; set; } = new();

    /// <summary>Who may do what.</summary>
    public AccessOptions Access { get; set; } = new();

    /// <summary>What the engine may use. Its data directory is the node's.</summary>
    public EngineOptions Engine { get; set; } = new();

    /// <summary>In how many bytes blocks are kept below RAM.</summary>
    public CodecOptions Codecs { get; set; } = new();

    /// <summary>Figures that go elsewhere by themselves.</summary>
    public TelemetryOptions Telemetry { get; set; } = new();

    /// <summary>What is written to the log.</summary>
    public LogOptions Log { get; set; } = new();
}
