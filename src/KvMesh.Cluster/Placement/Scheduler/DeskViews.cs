using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Admin;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Placement;

namespace KvMesh.Cluster.Placement.Scheduler;

/// <summary>Turns what a scheduler knows into the words of the admin API.</summary>
internal static class DeskViews
{
    private const int MaxDeferred = 100;

    public static OrderList List(NodeId scheduler, SchedulerTerm term) => new(
        scheduler.Value, term.Token, term.Book.IsPaused, [.. term.Book.List().Select(Order), .. term.Book.Inherited], [.. Deferred(term.LastPlan)]);

    public static PlanPreview Preview(NodeId scheduler, SchedulerTerm term, DateTimeOffset now)
    {
        if (term.LastInput is not { } input)
        {
            return new PlanPreview(scheduler.Value, [], []);
        }

        var plan = PlacementPlanner.Plan(input with { Now = now });
        return new PlanPreview(scheduler.Value, [.. plan.Orders.Select(Planned)], [.. Deferred(plan)]);
    }

    public static IReadOnlyList<AuditEntry> Audit(SchedulerTerm term) =>
        [.. term.Book.Audit().Reverse().Select(line => new AuditEntry(line.At, line.Actor, line.Action, line.Subject))];

    public static DrainStatus Drain(NodeId node, DrainAnswer answer) => new(
        node.Value,
        answer.State switch { DrainAnswer.Draining => "draining", DrainAnswer.Drained => "drained", _ => "active" },
        answer.Blocks, answer.BlocksLeft, answer.BytesLeft, answer.Since > 0 ? DateTimeOffset.FromUnixTimeMilliseconds(answer.Since) : null, answer.Message);

    private static IEnumerable<DeferredOrderStatus> Deferred(PlacementPlan? plan) =>
        (plan?.Deferred ?? []).Take(MaxDeferred).Select(deferred => new DeferredOrderStatus(Planned(deferred.Order), deferred.Why));

    public static OrderStatus Order(OrderEntry entry) => Planned(entry.Order) with
    {
        Id = entry.Id,
        State = entry.State.ToString().ToLowerInvariant(),
        MovedBytes = entry.MovedBytes,
        OpenedAt = entry.OpenedAt,
        EndedAt = entry.EndedAt,
        Message = entry.Message,
    };

    private static OrderStatus Planned(PlacementOrder order) => new(
        0, KindOf(order.Kind), "planned", order.Prefix.Tenant, NameOf(order.Prefix.Tail), order.FirstBlock, order.Blocks,
        order.Target.Value, [.. order.Sources.Select(source => source.Value)], order.Bytes, 0, order.CostSeconds, order.BenefitSeconds, order.Reason, null, null, "");

    public static string NameOf(in KeyDigest tail) => $"{tail.High:x16}{tail.Low:x16}";

    public static string KindOf(OrderKind kind) => kind == OrderKind.RestorePin ? "restore-pin" : kind.ToString().ToLowerInvariant();
}
