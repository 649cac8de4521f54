namespace KvMesh.Protocol.Admin;

/// <summary>What <c>GET /api/v1/status</c> answers: one node at one moment. Counters grow from the start of its process.</summary>
/// <param name="NodeId">Name of the node; stays the same over restarts of one data directory.</param>
/// <param name="Version">Version of the program.</param>
/// <param name="Incarnation">Grows by one with every start on the data directory.</param>
/// <param name="IsReady">Whether the node takes traffic: started, and not stopping.</param>
/// <param name="State">What the node is to the cluster: "active"; "draining" while an operator has it hand its blocks over; "leaving" while it stops.</param>
/// <param name="FarTiers">Tiers beyond the node, in the order in which they are asked; null or empty: none.</param>
/// <param name="Coding">In how many bytes blocks are kept on disk; null from a node that does not tell.</param>
public sealed record NodeStatus(
    string NodeId,
    string Version,
    long Incarnation,
    DateTimeOffset StartedAt,
    double UptimeSeconds,
    bool IsReady,
    string DataDirectory,
    int TenantCount,
    IReadOnlyList<EndpointStatus> Endpoints,
    IReadOnlyList<ProtocolStatus> Protocols,
    ProcessStatus Process,
    IReadOnlyList<TierStatus> Tiers,
    IReadOnlyList<ArenaStatus> Arenas,
    TrafficStatus Traffic,
    IntegrityStatus Integrity,
    IReadOnlyList<FarTierStatus>? FarTiers = null,
    string State = "active",
    CodingStatus? Coding = null)
{
    /// <summary>In how many bytes each tier that encodes keeps blocks, RAM first. Null from a node that does not tell.</summary>
    public IReadOnlyList<TierCodingStatus>? Codings { get; init; }
}

/// <summary>One listener of the node.</summary>
/// <param name="Protocol">"http", "native" or "resp".</param>
/// <param name="Address">"127.0.0.1:8601", or the path of a Unix socket after "unix:".</param>
public sealed record EndpointStatus(string Protocol, string Address);

/// <summary>Connections that are open now, by protocol.</summary>
public sealed record ProtocolStatus(string Protocol, int OpenConnections);

/// <summary>What the process of the node uses.</summary>
public sealed record ProcessStatus(
    int ProcessId, double ProcessorSeconds, int ProcessorCount, long ResidentBytes, long ManagedHeapBytes, int Threads);
