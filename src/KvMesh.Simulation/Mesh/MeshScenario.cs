using System.Collections.Immutable;
using KvMesh.Cluster.Placement;

namespace KvMesh.Simulation.Mesh;

/// <summary>A fleet of nodes under a trace. Equal scenarios over equal traces give equal reports, planning times aside.</summary>
public sealed record MeshScenario
{
    public required int Nodes { get; init; }

    /// <summary>Blocks that each node holds.</summary>
    public required int BlocksPerNode { get; init; }

    /// <summary>Payload bytes of a block. Default 64 MiB: 512 tokens of Llama-3-8B.</summary>
    public long BlockBytes { get; init; } = 64L << 20;

    /// <summary>How requests find their node.</summary>
    public MeshRouting Routing { get; init; }

    /// <summary>Whether a node may pull what another holds. False: every node is a cache of its own.</summary>
    public bool IsShared { get; init; } = true;

    /// <summary>Whether the placement scheduler runs, every <see cref="PlacementOptions.Step"/> of trace time.</summary>
    public bool HasScheduler { get; init; }

    public PlacementOptions Placement { get; init; } = new();

    /// <summary>What a node can receive and send, each. Default 12.5 GB/s: a port of 100 Gbit/s.</summary>
    public double LinkBytesPerSecond { get; init; } = 12.5e9;

    /// <summary>Bytes of keys and values that an engine computes per second. Default 1 GiB/s.</summary>
    public double RecomputeBytesPerSecond { get; init; } = 1L << 30;

    /// <summary>Nodes that fail, lose all they hold, and come back empty.</summary>
    public ImmutableArray<NodeFault> Faults { get; init; } = [];
}

/// <param name="Node">Index of the node.</param>
/// <param name="AtMs">When it fails, in milliseconds of the trace.</param>
/// <param name="UntilMs">When it is back, empty.</param>
public readonly record struct NodeFault(int Node, long AtMs, long UntilMs)
{
    /// <summary>Failures of as many nodes, each once, at random moments of a trace. One node at least does not fail.</summary>
    public static ImmutableArray<NodeFault> Spread(int failures, int nodes, long traceMs, TimeSpan down, int seed)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(failures, nodes);
        var random = new Random(seed);
        var victims = Enumerable.Range(0, nodes).ToArray();
        random.Shuffle(victims);
        return
        [
            .. victims.Take(failures).Select(node => random.NextInt64(Math.Max(1, traceMs)) is var at ? new NodeFault(node, at, at + (long)down.TotalMilliseconds) : default),
        ];
    }
}

/// <summary>How requests find their node.</summary>
public enum MeshRouting
{
    /// <summary>One after the other, whatever they ask.</summary>
    RoundRobin,

    /// <summary>Where queue and missing blocks together cost least; of equals, the next in turn.</summary>
    Affinity,
}

/// <summary>What came of a scenario.</summary>
/// <param name="Blocks">Blocks that requests asked for.</param>
/// <param name="LocalHits">Of these, found at the node that the request entered.</param>
/// <param name="RemoteHits">Of these, pulled from another node.</param>
/// <param name="MeanWaitSeconds">Mean time of a request for pulling and computing its prompt.</param>
/// <param name="MovedBytes">Bytes that orders of the scheduler moved.</param>
/// <param name="PlanMilliseconds">Wall time of one plan, median and 99th percentile; 0 without a scheduler.</param>
public sealed record MeshReport(
    MeshScenario Scenario, int Requests, long Blocks, long LocalHits, long RemoteHits, double MeanWaitSeconds, long PulledBytes,
    long MovedBytes, int Plans, int Orders, (double Median, double P99) PlanMilliseconds)
{
    public double HitRatio => Blocks == 0 ? 0 : (double)(LocalHits + RemoteHits) / Blocks;
}
