namespace KvMesh.Protocol.Admin;

/// <summary>
/// What <c>GET /api/v1/flows</c> answers: blocks that one node pulled from others, and exchanged with Redis. Counts grow from the start of
/// its process, and those of one other node begin anew with each run of that node: a rate is the difference of two answers.
/// </summary>
/// <param name="Node">Id of the node that answers.</param>
public sealed record FlowList(string Node, DateTimeOffset TakenAt, IReadOnlyList<FlowStatus> Flows);

/// <summary>Blocks on one way.</summary>
/// <param name="Kind">"peer", or "redis" when one end is the Redis that keeps blocks.</param>
/// <param name="Source">Id of the node that gives; empty for Redis.</param>
/// <param name="Target">Id of the node that takes; empty for Redis.</param>
/// <param name="Bytes">Payload bytes.</param>
/// <param name="IsLeftAlone">Whether the taking node does not ask the source now, because it failed.</param>
public sealed record FlowStatus(string Kind, string Source, string Target, long Blocks, long Bytes, long Failures, bool IsLeftAlone);

/// <summary>What <c>GET /api/v1/flows/cluster</c> answers: the flows of the nodes of the cluster, each as the node itself tells them, by way of the one that is asked.</summary>
/// <param name="Unknown">Nodes whose flows are not known.</param>
public sealed record ClusterFlows(IReadOnlyList<FlowList> Nodes, IReadOnlyList<UntoldFlows> Unknown);

/// <param name="Node">Id of the node; empty: several.</param>
/// <param name="Why">What it says instead, or that it says nothing.</param>
public sealed record UntoldFlows(string Node, string Why);
