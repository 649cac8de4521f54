using System.Diagnostics.Metrics;
using KvMesh.Cluster.Placement;
using KvMesh.Cluster.Placement.Nodes;
using KvMesh.Cluster.Placement.Scheduler;

namespace KvMesh.Server.Telemetry;

/// <summary>Figures of placement: of the orders that this node carries out, and of its terms as scheduler.</summary>
internal static class PlacementMetrics
{
    private static readonly OrderState[] Ends = [OrderState.Done, OrderState.Failed, OrderState.Cancelled];

    public static void Add(NodeMetrics metrics, PlacementScheduler scheduler, OrderFigures orders)
    {
        var meter = metrics.Meter;
        var figures = scheduler.Figures;
        meter.CreateObservableGauge("kvmesh.placement.scheduler", () => scheduler.IsInOffice ? 1 : 0, null, "1 while this node plans placement.");
        meter.CreateObservableCounter("kvmesh.placement.plans", () => figures.Plans, "{plan}", "Plans that this node made.");
        meter.CreateObservableCounter("kvmesh.placement.plan_time", () => figures.PlanTime.TotalSeconds, "s", "Time that this node planned, without asking the others.");
        meter.CreateObservableCounter("kvmesh.placement.failed_steps", () => figures.FailedSteps, "{step}", "Steps of this node as scheduler that failed by an error of ours.");
        meter.CreateObservableCounter("kvmesh.placement.silent_nodes", () => figures.SilentNodes, "{node}", "Nodes that did not report to this one in a step, over all steps.");
        meter.CreateObservableCounter("kvmesh.placement.orders", () => Planned(figures), "{order}", "Orders that this node opened as scheduler, and how they ended.");
        meter.CreateObservableCounter("kvmesh.placement.lost", () => figures.LostOrders, "{order}", "Open orders of schedulers before that this node closed when it followed them.");
        meter.CreateObservableCounter("kvmesh.placement.unsaved", () => figures.Unsaved, "{write}", "Times that a silent store did not take what must outlive this node as scheduler.");
        meter.CreateObservableCounter("kvmesh.placement.executed", () => Executed(orders), "{order}", "Orders that this node was given, by how they ended.");
        meter.CreateObservableCounter("kvmesh.placement.refused", () => orders.Refused, "{order}", "Orders with the token of a deposed scheduler, which were not followed.");
        meter.CreateObservableCounter("kvmesh.placement.blocks", () => Blocks(orders), "{block}", "Blocks of orders, by whether they came.");
        meter.CreateObservableCounter("kvmesh.placement.moved", () => orders.MovedBytes, "By", "Payload bytes that orders brought to this node.");
        meter.CreateObservableGauge("kvmesh.placement.pending_pins", () => scheduler.IsInOffice ? figures.PendingPins : 0, "{pin}", "Pins that wait for their copies, as the node that plans sees them.");
        meter.CreateObservableGauge("kvmesh.placement.pin_wait", () => scheduler.IsInOffice ? figures.PinWait.TotalSeconds : 0, "s", "For how long the oldest of them has waited.");
        meter.CreateObservableGauge("kvmesh.placement.held_blocks", () => metrics.Snapshot().HeldBlocks, "{block}", "Blocks that this node keeps for pins.");
        meter.CreateObservableGauge("kvmesh.placement.held", () => metrics.Snapshot().HeldBytes, "By", "Bytes that this node keeps for pins.");
    }

    private static IEnumerable<Measurement<long>> Planned(SchedulerFigures figures) =>
        figures.Orders.Select(order => Of(order.Count, order.Kind, order.State == OrderState.Open ? "opened" : Name(order.State)));

    private static IEnumerable<Measurement<long>> Executed(OrderFigures orders) =>
        from kind in Enum.GetValues<OrderKind>()
        from state in Ends
        select Of(orders.Ended(kind, state), kind, Name(state));

    private static IEnumerable<Measurement<long>> Blocks(OrderFigures orders) => Enum.GetValues<BlockArrival>().Select(arrival => new Measurement<long>(
        orders.Blocks(arrival), new KeyValuePair<string, object?>("kvmesh.outcome", arrival switch
        {
            BlockArrival.Came => "came",
            BlockArrival.WasHere => "was_here",
            _ => "failed",
        })));

    private static Measurement<long> Of(long count, OrderKind kind, string outcome) => new(
        count, new KeyValuePair<string, object?>("kvmesh.kind", kind == OrderKind.RestorePin ? "restore-pin" : kind.ToString().ToLowerInvariant()),
        new KeyValuePair<string, object?>("kvmesh.outcome", outcome));

    private static string Name(OrderState state) => state.ToString().ToLowerInvariant();
}
