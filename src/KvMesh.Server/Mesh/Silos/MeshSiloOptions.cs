using System.ComponentModel.DataAnnotations;
using KvMesh.Server.Options;

namespace KvMesh.Server.Mesh.Silos;

/// <summary>The silo of a node with <see cref="ControlHost.Orleans"/>; without it nothing here has a meaning.</summary>
public sealed class MeshSiloOptions
{
    /// <summary>IP address under which other silos reach this one, and which it listens on. Empty: that of the native door.</summary>
    public string Address { get; set; } = "";

    /// <summary>Port for other silos.</summary>
    [Range(1, 65535)]
    public int Port { get; set; } = 11111;

    /// <summary>Port for clients of the cluster that are no silos. 0: none.</summary>
    [Range(0, 65535)]
    public int GatewayPort { get; set; }

    /// <summary>Cluster and service of the silo: silos of one id on one Redis are one. Empty: the name of the mesh.</summary>
    [MaxLength(64)]
    public string ClusterId { get; set; } = "";

    /// <summary>Redis where the silos meet, and which keeps the scheduler's term. Empty: that of the mesh, which keeps the sequences in any case.</summary>
    [Secret]
    public string Redis { get; set; } = "";

    /// <summary>Time between two questions of one silo whether another lives.</summary>
    public TimeSpan ProbeInterval { get; set; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Questions without an answer after which a silo is declared dead.</summary>
    [Range(1, 100)]
    public int MissedProbes { get; set; } = 3;

    /// <summary>How long a call to a grain may take.</summary>
    public TimeSpan ResponseLimit { get; set; } = TimeSpan.FromSeconds(2);
}
