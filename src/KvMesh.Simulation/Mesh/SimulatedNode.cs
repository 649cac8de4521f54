using KvMesh.Cluster.Demand;
using KvMesh.Cluster.Membership;

namespace KvMesh.Simulation.Mesh;

/// <summary>A node: what it holds, what is asked at it, and how busy it is.</summary>
internal sealed class SimulatedNode(int index, MeshScenario scenario, TimeProvider time)
{
    /// <summary>Prefixes whose demand a node follows.</summary>
    private const int DemandCapacity = 512;

    public int Index => index;

    public NodeId Id { get; } = NodeId.Parse($"n{index:0000}");

    public PrefixCache Cache { get; } = new(scenario.BlocksPerNode);

    public DemandTable Demand { get; } = new(DemandCapacity, TimeSpan.FromSeconds(60), time);

    public bool IsUp { get; set; } = true;

    /// <summary>Seconds of work that wait here; drains by one a second.</summary>
    public double QueueSeconds { get; set; }

    /// <summary>Bytes sent to other nodes since the last plan.</summary>
    public long SentBytes { get; set; }
}
