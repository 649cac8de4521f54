namespace KvMesh.Protocol.Admin;

/// <summary>One event of <c>GET /api/v1/live</c>: the node now and its last second. Sent once a second.</summary>
public sealed record LiveUpdate(NodeStatus Status, HistorySample? Sample);
