using KvMesh.Cluster.Map;
using KvMesh.Protocol.Native;
using KvMesh.Remote.Peers;
using KvMesh.Remote.Peers.Feed;
using KvMesh.Remote.Redis.Blocks;
using KvMesh.Server.Mesh.Silos;
using KvMesh.Server.Options;

namespace KvMesh.Server.Mesh;

/// <summary>How the node works with others as one cache.</summary>
public sealed class MeshOptions
{
    /// <summary>What hosts the shared state. Auto: Redis when <see cref="Redis"/> is set, else this process, which is a cluster of one node.</summary>
    public ControlHost Control { get; set; } = ControlHost.Auto;

    /// <summary>
    /// Redis where the nodes meet: <c>host:port</c>, further ones and options of the client behind commas
    /// (<c>redis-1:6379,redis-2:6379,password=…,ssl=true</c>). Empty: none.
    /// </summary>
    [Secret]
    public string Redis { get; set; } = "";

    /// <summary>Name of the cluster: nodes of one name on one Redis are one cache.</summary>
    public string Cluster { get; set; } = "kvmesh";

    /// <summary>Name of the node in its cluster: 1 to 64 of a–z, 0–9, '.', '-', '_'. Empty: made from the option NodeId.</summary>
    public string NodeId { get; set; } = "";

    /// <summary>
    /// Host under which other nodes reach this one, with <c>:port</c> when the native door is reached under another than its own.
    /// Empty: the address that the native door listens on, or the machine's name when that is every address.
    /// </summary>
    public string AdvertiseAddress { get; set; } = "";

    /// <summary>Token with the right <c>peer</c> that this node shows to others. Empty: none, or one made from the key.</summary>
    [Secret]
    public string PeerToken { get; set; } = "";

    /// <summary>File of 32 to 4,096 secret bytes that all nodes of the cluster have: by it they know each other. Empty: none.</summary>
    public string KeyFile { get; set; } = "";

    /// <summary>
    /// Versions of the native protocol that the node speaks, with clients and other nodes: <c>1</c>, or <c>1-2</c>. Empty: those of this program. For
    /// rehearsals of an upgrade: a node stands in for one of the release before or after its own.
    /// </summary>
    public string Versions { get; set; } = "";

    /// <summary>Time between two heartbeats.</summary>
    public TimeSpan HeartbeatInterval { get; set; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Silence after which a node counts as gone, while Redis answers and other nodes are heard; it is noticed within this and two heartbeats.</summary>
    public TimeSpan FailureTime { get; set; } = TimeSpan.FromSeconds(3.5);

    /// <summary>The silo of a node, where sequences and scheduler are grains.</summary>
    public MeshSiloOptions Silo { get; set; } = new();

    /// <summary>Reading blocks from other nodes.</summary>
    public PeerOptions Peers { get; set; } = new();

    /// <summary>What this node knows of the others' blocks.</summary>
    public BlockMapOptions Map { get; set; } = new();

    /// <summary>How this node follows what the others have.</summary>
    public MapFeedOptions Feed { get; set; } = new();

    /// <summary>Redis as a tier for blocks below RAM and disk, shared by all nodes.</summary>
    public RedisTierOptions RedisBlocks { get; set; } = new();

    /// <summary>What <see cref="Versions"/> says, which was checked.</summary>
    internal NativeVersions SpokenVersions => NativeVersions.TryParse(Versions, out var versions) ? versions : NativeVersions.Own;
}

/// <summary>What hosts the state that nodes share.</summary>
public enum ControlHost
{
    /// <summary>Redis when its address is given, else this process.</summary>
    Auto = 0,

    /// <summary>This process: a cluster of one node.</summary>
    Embedded = 1,

    Redis = 2,

    /// <summary>Redis, but sequences and the scheduler's lease are grains of Orleans. Only in a program that was built with <c>-p:KvMeshOrleans=true</c>.</summary>
    Orleans = 3,
}
