using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Admin;
using KvMesh.Protocol.Placement;

namespace KvMesh.Cluster.Placement.Scheduler;

/// <summary>The desk of any node: answers itself while it plans, and else passes the wish to the node that does.</summary>
public sealed partial class PlacementDesk(PlacementScheduler scheduler, TimeProvider time) : IPlacementDesk
{
    /// <summary>An answer may be long, and the node that plans asks another one about a drain.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    public async ValueTask<OrderList> ListAsync(CancellationToken cancellationToken) =>
        scheduler.Term is { } term
            ? DeskViews.List(scheduler.Parts.Views.Self, term)
            : await PassAsync(new DeskRequest(DeskAction.List, 0, "", ""), AdminJson.Default.OrderList, cancellationToken).ConfigureAwait(false)
                ?? throw NoSense();

    public async ValueTask<PlanPreview> PlanAsync(CancellationToken cancellationToken) =>
        scheduler.Term is { } term
            ? DeskViews.Preview(scheduler.Parts.Views.Self, term, time.GetUtcNow())
            : await PassAsync(new DeskRequest(DeskAction.Plan, 0, "", ""), AdminJson.Default.PlanPreview, cancellationToken).ConfigureAwait(false)
                ?? throw NoSense();

    public async ValueTask<bool> CancelAsync(long id, string actor, CancellationToken cancellationToken)
    {
        if (scheduler.Term is not { } term)
        {
            return await PassAsync(new DeskRequest(DeskAction.Cancel, id, "", actor), cancellationToken).ConfigureAwait(false) is not null;
        }

        if (!term.Book.TryCancel(id, actor, out var entry))
        {
            return false;
        }

        await SaveAsync(term, cancellationToken).ConfigureAwait(false);
        scheduler.Figures.NoteOrder(entry!.Order.Kind, OrderState.Cancelled);
        if (scheduler.Parts.Views.Current.Find(entry.Order.Target) is { } node)
        {
            // A node that does not hear it now brings some blocks more; the order is over all the same.
            var request = new OrderCancelRequest(term.Token, id);
            await scheduler.Talk.AskAsync(
                node, own => own.Cancel(request), (calls, limit, token) => calls.CancelAsync(node, request, limit, token), cancellationToken).ConfigureAwait(false);
        }

        return true;
    }

    public async ValueTask SetPausedAsync(bool isPaused, string actor, CancellationToken cancellationToken)
    {
        if (scheduler.Term is { } term)
        {
            term.Book.SetPaused(isPaused, actor);
            await SaveAsync(term, cancellationToken).ConfigureAwait(false);
            return;
        }

        await PassAsync(new DeskRequest(isPaused ? DeskAction.Pause : DeskAction.Resume, 0, "", actor), cancellationToken).ConfigureAwait(false);
    }

    public async ValueTask<IReadOnlyList<AuditEntry>> AuditAsync(CancellationToken cancellationToken) =>
        scheduler.Term is { } term
            ? DeskViews.Audit(term)
            : await PassAsync(new DeskRequest(DeskAction.Audit, 0, "", ""), AdminJson.Default.IReadOnlyListAuditEntry, cancellationToken).ConfigureAwait(false)
                ?? throw NoSense();

    public async ValueTask NoteForgottenAsync(NodeId node, string actor, CancellationToken cancellationToken)
    {
        if (scheduler.Term is { } term)
        {
            term.Book.NoteAction(actor, "forget", node.Value);
            await SaveAsync(term, cancellationToken).ConfigureAwait(false);
            return;
        }

        await PassAsync(new DeskRequest(DeskAction.NoteForgotten, 0, node.Value, actor), cancellationToken).ConfigureAwait(false);
    }

    public ValueTask<DrainStatus?> BeginDrainAsync(NodeId node, string actor, CancellationToken cancellationToken) =>
        DrainAsync(DeskAction.BeginDrain, node, actor, cancellationToken);

    public ValueTask<DrainStatus?> EndDrainAsync(NodeId node, string actor, CancellationToken cancellationToken) =>
        DrainAsync(DeskAction.EndDrain, node, actor, cancellationToken);

    public ValueTask<DrainStatus?> DrainProgressAsync(NodeId node, CancellationToken cancellationToken) =>
        DrainAsync(DeskAction.DrainProgress, node, "", cancellationToken);

    /// <summary>
    /// Answers a wish that another node passed on, as JSON of the admin API. Null: there is no such order or node. It is not passed on again: a node that does not
    /// plan says so.
    /// </summary>
    /// <exception cref="PlacementUnavailableException">This node does not plan, or a node that is asked for does not answer.</exception>
    public async ValueTask<ReadOnlyMemory<byte>?> AnswerAsync(DeskRequest request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (request.Action == DeskAction.Flows)
        {
            return Flows is { } flows ? Json(flows(), AdminJson.Default.FlowList) : default(ReadOnlyMemory<byte>?);
        }

        if (scheduler.Term is null)
        {
            throw new PlacementUnavailableException($"{scheduler.Parts.Views.Self} does not plan placement any more; try again.");
        }

        switch (request.Action)
        {
            case DeskAction.List:
                return Json(await ListAsync(cancellationToken).ConfigureAwait(false), AdminJson.Default.OrderList);
            case DeskAction.Plan:
                return Json(await PlanAsync(cancellationToken).ConfigureAwait(false), AdminJson.Default.PlanPreview);
            case DeskAction.Audit:
                return Json(await AuditAsync(cancellationToken).ConfigureAwait(false), AdminJson.Default.IReadOnlyListAuditEntry);
            case DeskAction.Cancel:
                // A bare null would become an empty answer here, which says that it was done.
                return await CancelAsync(request.Id, request.Actor, cancellationToken).ConfigureAwait(false) ? ReadOnlyMemory<byte>.Empty : default(ReadOnlyMemory<byte>?);
            case DeskAction.Pause or DeskAction.Resume:
                await SetPausedAsync(request.Action == DeskAction.Pause, request.Actor, cancellationToken).ConfigureAwait(false);
                return ReadOnlyMemory<byte>.Empty;
            case DeskAction.NoteForgotten when NodeId.TryParse(request.Node, out var forgotten, out _):
                await NoteForgottenAsync(forgotten, request.Actor, cancellationToken).ConfigureAwait(false);
                return ReadOnlyMemory<byte>.Empty;
            case DeskAction.NoteForgotten:
                return null;
            default:
                return NodeId.TryParse(request.Node, out var node, out _)
                    && await DrainAsync(request.Action, node, request.Actor, cancellationToken).ConfigureAwait(false) is { } status
                    ? Json(status, AdminJson.Default.DrainStatus)
                    : default(ReadOnlyMemory<byte>?);
        }
    }

    private async ValueTask<DrainStatus?> DrainAsync(DeskAction action, NodeId id, string actor, CancellationToken cancellationToken)
    {
        if (scheduler.Term is not { } term)
        {
            return await PassAsync(new DeskRequest(action, 0, id.Value, actor), AdminJson.Default.DrainStatus, cancellationToken).ConfigureAwait(false);
        }

        if (scheduler.Parts.Views.Current.Find(id) is not { } node)
        {
            return null;
        }

        var request = new DrainRequest(term.Token, action switch
        {
            DeskAction.BeginDrain => DrainAction.Begin,
            DeskAction.EndDrain => DrainAction.End,
            _ => DrainAction.Ask,
        });
        var (_, answer, failure) = await scheduler.Talk.AskAsync(
            node, own => own.Drain(request), (calls, limit, token) => calls.DrainAsync(node, request, limit, token), cancellationToken).ConfigureAwait(false);
        if (answer is null || answer.IsStale)
        {
            throw new PlacementUnavailableException(answer is null ? failure : $"{id} follows a later scheduler; try again.");
        }

        if (request.Action != DrainAction.Ask)
        {
            term.Book.NoteAction(actor, request.Action == DrainAction.Begin ? "drain" : "undrain", id.Value);
            await SaveAsync(term, cancellationToken).ConfigureAwait(false);
        }

        return DeskViews.Drain(id, answer);
    }

    /// <summary>What an operator did is written down before it is confirmed, where the store answers; where it is silent, as soon as it does.</summary>
    private async ValueTask SaveAsync(SchedulerTerm term, CancellationToken cancellationToken)
    {
        if (!await term.Journal.SaveAsync(cancellationToken).ConfigureAwait(false))
        {
            throw new PlacementUnavailableException($"{scheduler.Parts.Views.Self} does not plan placement any more; try again.");
        }
    }

    private async ValueTask<T?> PassAsync<T>(DeskRequest request, JsonTypeInfo<T> type, CancellationToken cancellationToken)
        where T : class
    {
        if (await PassAsync(request, cancellationToken).ConfigureAwait(false) is not { } json)
        {
            return null;
        }

        try
        {
            return JsonSerializer.Deserialize(json.Span, type);
        }
        catch (JsonException exception)
        {
            throw new PlacementUnavailableException("The node that plans answered what makes no sense here; it may be of another version.", exception);
        }
    }

    private async ValueTask<ReadOnlyMemory<byte>?> PassAsync(DeskRequest request, CancellationToken cancellationToken)
    {
        if (scheduler.Holder is not { } holder || scheduler.Parts.Views.Current.Find(holder) is not { } node || holder == scheduler.Parts.Views.Self)
        {
            throw new PlacementUnavailableException("No node plans placement at the moment; one does within seconds while the store of the cluster answers.");
        }

        try
        {
            return await scheduler.Parts.Calls.DeskAsync(node, request, Patience, cancellationToken).ConfigureAwait(false);
        }
        catch (NodeSilentException exception)
        {
            throw new PlacementUnavailableException($"{holder}, which plans placement, cannot be asked: {exception.Message}", exception);
        }
    }

    private static ReadOnlyMemory<byte> Json<T>(T value, JsonTypeInfo<T> type) => JsonSerializer.SerializeToUtf8Bytes(value, type);

    private static PlacementUnavailableException NoSense() => new("The node that plans gave no answer.");
}
