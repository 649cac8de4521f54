using System.Text.Json.Serialization.Metadata;
using KvMesh.Protocol.Admin;

namespace KvMesh.Client.Admin;

/// <summary>Placement over HTTP: orders, and nodes that are emptied before they leave.</summary>
public sealed partial class AdminClient
{
    /// <summary>What is to move between nodes, and why.</summary>
    /// <param name="count">Most orders to show; open ones come first.</param>
    public Task<OrderList> GetOrdersAsync(int count, CancellationToken cancellationToken) =>
        GetAsync($"{AdminRoutes.Orders}?count={count}", AdminJson.Default.OrderList, cancellationToken);

    /// <summary>Takes an order back. False: none is open under this id.</summary>
    public Task<bool> CancelOrderAsync(long id, CancellationToken cancellationToken) =>
        DeleteAsync($"{AdminRoutes.Orders}/{id}", cancellationToken);

    /// <summary>From now on plans are made and nothing is ordered.</summary>
    public Task PauseOrdersAsync(CancellationToken cancellationToken) => PostAsync($"{AdminRoutes.Orders}/pause", cancellationToken);

    public Task ResumeOrdersAsync(CancellationToken cancellationToken) => PostAsync($"{AdminRoutes.Orders}/resume", cancellationToken);

    /// <summary>What the scheduler would order now. Nothing is ordered.</summary>
    public Task<PlanPreview> PreviewPlanAsync(CancellationToken cancellationToken) =>
        PostAsync($"{AdminRoutes.Orders}/plan", AdminJson.Default.PlanPreview, cancellationToken);

    /// <summary>What operators did, the latest first.</summary>
    public Task<IReadOnlyList<AuditEntry>> GetAuditAsync(int count, CancellationToken cancellationToken) =>
        GetAsync($"{AdminRoutes.Orders}/audit?count={count}", AdminJson.Default.IReadOnlyListAuditEntry, cancellationToken);

    /// <summary>Begins to hand a node's blocks to others.</summary>
    public Task<DrainStatus> DrainNodeAsync(string id, CancellationToken cancellationToken) =>
        PostAsync(DrainPathOf(id), AdminJson.Default.DrainStatus, cancellationToken);

    /// <summary>Makes a draining node an ordinary member again. False: no member has the id.</summary>
    public Task<bool> UndrainNodeAsync(string id, CancellationToken cancellationToken) => DeleteAsync(DrainPathOf(id), cancellationToken);

    /// <summary>How far a node is with handing its blocks over.</summary>
    public Task<DrainStatus> GetDrainAsync(string id, CancellationToken cancellationToken) =>
        GetAsync(DrainPathOf(id), AdminJson.Default.DrainStatus, cancellationToken);

    private static string DrainPathOf(string id)
    {
        ArgumentNullException.ThrowIfNull(id);
        return $"{AdminRoutes.Nodes}/{Uri.EscapeDataString(id)}/drain";
    }

    private async Task PostAsync(string path, CancellationToken cancellationToken)
    {
        using var response = await _http.PostAsync(new Uri(path, UriKind.Relative), content: null, cancellationToken).ConfigureAwait(false);
        await ThrowIfRefusedAsync(response, cancellationToken).ConfigureAwait(false);
    }

    private async Task<T> PostAsync<T>(string path, JsonTypeInfo<T> type, CancellationToken cancellationToken)
    {
        using var response = await _http.PostAsync(new Uri(path, UriKind.Relative), content: null, cancellationToken).ConfigureAwait(false);
        return await ReadAsync(response, type, cancellationToken).ConfigureAwait(false);
    }
}
