namespace KvMesh.Protocol.Admin;

/// <summary>What <c>GET /api/v1/nodes</c> answers: the cluster as one node sees it.</summary>
/// <param name="Cluster">Name of the cluster.</param>
/// <param name="Self">Id of the node that answers.</param>
/// <param name="Standing">"joining", "member", "refused" or "left": whether the node that answers is a member.</param>
/// <param name="Reason">Why it is no member; empty for a member.</param>
/// <param name="Store">Where the nodes meet.</param>
/// <param name="StoreSilentSeconds">For how long the store has not answered; null: it answers.</param>
/// <param name="Epoch">Number of this view; it grows with every change that the node sees.</param>
/// <param name="IsFrozen">Whether the last view stays in force because the store is silent.</param>
/// <param name="HeldBack">Members that look dead and are kept, because too many do at once.</param>
public sealed record ClusterStatus(
    string Cluster, string Self, string Standing, string Reason, string Store, double? StoreSilentSeconds, long Epoch, bool IsFrozen,
    IReadOnlyList<string> HeldBack, IReadOnlyList<MemberStatus> Nodes);

/// <summary>One member.</summary>
/// <param name="Incarnation">Number of this run of the node in the cluster; a later run has a higher one.</param>
/// <param name="State">"active", "draining" or "leaving".</param>
/// <param name="IsUsed">False: it speaks no version of the mesh protocol that the answering node speaks.</param>
/// <param name="NativeAddress">Host and port for peers.</param>
/// <param name="HttpAddress">Base address of its HTTP door.</param>
/// <param name="RespAddress">Host and port of its Redis door; empty: closed.</param>
public sealed record MemberStatus(
    string Id, long Incarnation, string State, bool IsUsed, string NativeAddress, string HttpAddress, string RespAddress, string Machine,
    string Version, int MinProtocol, int MaxProtocol, IReadOnlyList<MemberTier> Tiers);

/// <summary>One tier of a member, as it last told the others.</summary>
public sealed record MemberTier(string Name, long CapacityBytes, long UsedBytes);
