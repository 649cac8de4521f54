using System.Collections.Immutable;
using KvMesh.Cluster.Loading;

namespace KvMesh.Simulation.Loading;

/// <summary>How requests get their prefixes.</summary>
public enum LoadPolicy
{
    /// <summary>Everything that is held is fetched.</summary>
    AlwaysFetch,

    AlwaysCompute,

    /// <summary>Each request is planned when it comes, with the queues of that moment.</summary>
    Planned,

    /// <summary>Worker and loaders meet without a plan.</summary>
    Unplanned,
}

/// <summary>A link with a given bandwidth. Others take a share of it for themselves.</summary>
/// <param name="Name">As in a plan.</param>
/// <param name="BytesPerSecond">What it carries.</param>
/// <param name="Latency">From a request to its first byte.</param>
/// <param name="BusyShare">What others take, 0 to below 1.</param>
public sealed record SimulatedLink(string Name, double BytesPerSecond, TimeSpan Latency, double BusyShare = 0)
{
    internal double OwnBytesPerSecond => BytesPerSecond * (1 - BusyShare);
}

/// <summary>A request that needs a prefix.</summary>
public sealed record PrefixRequest(TimeSpan At, ImmutableArray<HeldBlock> Blocks);

/// <summary>One worker, its links, and requests in the order in which they come.</summary>
public sealed record LoadScenario(ImmutableArray<SimulatedLink> Links, PrefillRate Prefill, ImmutableArray<PrefixRequest> Requests);
