using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Placement;
using KvMesh.Protocol.Admin;

namespace KvMesh.Gateway.Tests.Http;

/// <summary>A desk with two orders and two nodes, which remembers who did what.</summary>
internal sealed class ScriptedDesk : IPlacementDesk
{
    private readonly List<AuditEntry> _audit = [];
    private bool _isPaused;
    private string _drain = "active";
    private long _blocksLeft;

    /// <summary>While set, nobody plans, for this reason.</summary>
    public string? Unavailable { get; set; }

    public ValueTask<OrderList> ListAsync(CancellationToken cancellationToken) => Answer(
        new OrderList("n1", 7, _isPaused, [Order(2, "open"), Order(1, "done")], [new DeferredOrderStatus(Order(0, "planned"), "budget")]));

    public ValueTask<PlanPreview> PlanAsync(CancellationToken cancellationToken) => Answer(new PlanPreview("n1", [Order(0, "planned")], []));

    public ValueTask<bool> CancelAsync(long id, string actor, CancellationToken cancellationToken) => Answer(id == 2 && Note(actor, "cancel", $"{id}"));

    public async ValueTask SetPausedAsync(bool isPaused, string actor, CancellationToken cancellationToken)
    {
        _isPaused = isPaused;
        await Answer(Note(actor, isPaused ? "pause" : "resume", "orders"));
    }

    public ValueTask<IReadOnlyList<AuditEntry>> AuditAsync(CancellationToken cancellationToken) => Answer<IReadOnlyList<AuditEntry>>([.. _audit.AsEnumerable().Reverse()]);

    public async ValueTask NoteForgottenAsync(NodeId node, string actor, CancellationToken cancellationToken) => await Answer(Note(actor, "forget", $"{node}"));

    public ValueTask<DrainStatus?> BeginDrainAsync(NodeId node, string actor, CancellationToken cancellationToken) => Drain(node, actor, "drain", "draining");

    public ValueTask<DrainStatus?> EndDrainAsync(NodeId node, string actor, CancellationToken cancellationToken) => Drain(node, actor, "undrain", "active");

    /// <summary>Each question finds twenty blocks less, until the node is drained.</summary>
    public ValueTask<DrainStatus?> DrainProgressAsync(NodeId node, CancellationToken cancellationToken)
    {
        var status = Status(node);
        if (status is { State: "draining" })
        {
            _blocksLeft -= 20;
            _drain = _blocksLeft == 0 ? "drained" : _drain;
        }

        return Answer(status);
    }

    private static OrderStatus Order(long id, string state) => new(
        id, "replicate", state, "default", new string('a', 32), 0, 8, "n2", ["n1"], 1 << 20, 0, 0.5, 4, "it is asked for at n2", null, null, "");

    private DrainStatus? Status(NodeId node) => $"{node}" == "n2" ? new DrainStatus($"{node}", _drain, 100, _blocksLeft, _blocksLeft << 16, null, "") : null;

    private ValueTask<DrainStatus?> Drain(NodeId node, string actor, string action, string state)
    {
        if (Status(node) is null)
        {
            return Answer<DrainStatus?>(null);
        }

        (_drain, _blocksLeft) = (state, state == "draining" ? 40 : 0);
        Note(actor, action, $"{node}");
        return Answer(Status(node));
    }

    private bool Note(string actor, string action, string subject)
    {
        _audit.Add(new AuditEntry(DateTimeOffset.UnixEpoch, actor, action, subject));
        return true;
    }

    private ValueTask<T> Answer<T>(T answer) => Unavailable is { } why ? throw new PlacementUnavailableException(why) : ValueTask.FromResult(answer);
}
