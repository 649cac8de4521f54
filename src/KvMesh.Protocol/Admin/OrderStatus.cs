namespace KvMesh.Protocol.Admin;

/// <summary>What <c>GET /api/v1/orders</c> answers: which blocks are to move between nodes, and why. Any node answers for the scheduler.</summary>
/// <param name="Scheduler">Id of the node that plans; empty: no node does at the moment.</param>
/// <param name="Token">Fencing token of its term.</param>
/// <param name="IsPaused">While true, plans are made and shown but nothing is ordered.</param>
/// <param name="Orders">Open orders by id, then ended ones, the latest first.</param>
/// <param name="Deferred">What the last plan left for later, most urgent first, at most 100.</param>
public sealed record OrderList(
    string Scheduler, long Token, bool IsPaused, IReadOnlyList<OrderStatus> Orders, IReadOnlyList<DeferredOrderStatus> Deferred);

/// <summary>One order: a run of blocks of a prefix that a node pulls from others.</summary>
/// <param name="Id">Grows by one per order of a scheduler; 0 in a dry run.</param>
/// <param name="Kind">"restore-pin", "drain", "prefetch", "replicate", "migrate" or "spread".</param>
/// <param name="State">
/// "open", "running", "done", "failed", "cancelled" or "lost": the node that planned before had given it, and what is missing is ordered again; "planned" in a dry run.
/// </param>
/// <param name="Prefix">Hash of the last block of the prefix, 32 hexadecimal digits.</param>
/// <param name="FirstBlock">First block of the run, counted from the beginning of the prefix.</param>
/// <param name="Sources">Nodes that hold the run, the one to ask first at the front.</param>
/// <param name="Bytes">Payload bytes of the run.</param>
/// <param name="CostSeconds">Seconds that the move keeps its slower end busy.</param>
/// <param name="BenefitSeconds">Seconds of waiting that it is expected to save.</param>
/// <param name="Reason">A sentence for operators.</param>
/// <param name="MovedBytes">Payload bytes that came; less than <paramref name="Bytes"/> where blocks were there already.</param>
/// <param name="Message">Why it failed, who cancelled it, or how many of its blocks were there already; empty otherwise.</param>
public sealed record OrderStatus(
    long Id, string Kind, string State, string Tenant, string Prefix, int FirstBlock, int Blocks, string Target, IReadOnlyList<string> Sources,
    long Bytes, long MovedBytes, double CostSeconds, double BenefitSeconds, string Reason, DateTimeOffset? OpenedAt, DateTimeOffset? EndedAt,
    string Message);

/// <param name="Why">What it lacked: budget, room, bandwidth.</param>
public sealed record DeferredOrderStatus(OrderStatus Order, string Why);

/// <summary>What <c>POST /api/v1/orders/plan</c> answers: what the scheduler would order now. Nothing is ordered.</summary>
public sealed record PlanPreview(string Scheduler, IReadOnlyList<OrderStatus> Orders, IReadOnlyList<DeferredOrderStatus> Deferred);

/// <summary>One action of an operator. <c>GET /api/v1/orders/audit</c> lists them, the latest first.</summary>
/// <param name="Actor">Name of the credential, or the address where there was none.</param>
/// <param name="Action">"cancel", "pause", "resume", "drain", "undrain"; "take over" where a node closed the open orders of the one that planned before.</param>
/// <param name="Subject">Name of the order or of the node.</param>
public sealed record AuditEntry(DateTimeOffset At, string Actor, string Action, string Subject);

/// <summary>
/// How far a node is with handing its blocks to others. POST <c>/api/v1/nodes/{id}/drain</c> begins, DELETE takes it back, GET asks.
/// </summary>
/// <param name="State">"active", "draining" or "drained": verified that every block that others should have is with them.</param>
/// <param name="Blocks">Blocks that have to be with others.</param>
/// <param name="BlocksLeft">Those of them that no other node holds yet.</param>
/// <param name="Message">Why it does not go on; empty otherwise.</param>
public sealed record DrainStatus(string Node, string State, long Blocks, long BlocksLeft, long BytesLeft, DateTimeOffset? Since, string Message);
