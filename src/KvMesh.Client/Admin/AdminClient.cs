using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using KvMesh.Protocol.Admin;

namespace KvMesh.Client.Admin;

/// <summary>
/// The admin API of one node. Any method throws <see cref="AdminRefusedException"/> when the node answers and refuses, and
/// <see cref="HttpRequestException"/> or <see cref="IOException"/> when it does not answer.
/// </summary>
public sealed partial class AdminClient : IDisposable
{
    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan RequestTimeout = TimeSpan.FromSeconds(30);

    private readonly HttpClient _http;

    /// <param name="http">With the node's address as base address; owned by this client from now on.</param>
    public AdminClient(HttpClient http)
    {
        ArgumentNullException.ThrowIfNull(http);
        if (http.BaseAddress is null)
        {
            throw new ArgumentException("The HTTP client needs the node's address as its base address.", nameof(http));
        }

        _http = http;
    }

    /// <summary>A client with connections of its own.</summary>
    /// <param name="node">Address of the node's HTTP door, such as <c>http://127.0.0.1:8600/</c>.</param>
    /// <param name="token">Token of the caller; null on a node without credentials.</param>
    public AdminClient(Uri node, string? token)
        : this(CreateHttp(node, token))
    {
    }

    public Task<NodeStatus> GetStatusAsync(CancellationToken cancellationToken) =>
        GetAsync(AdminRoutes.Status, AdminJson.Default.NodeStatus, cancellationToken);

    public Task<IReadOnlyList<TierStatus>> GetTiersAsync(CancellationToken cancellationToken) =>
        GetAsync(AdminRoutes.Tiers, AdminJson.Default.IReadOnlyListTierStatus, cancellationToken);

    public Task<IReadOnlyList<TenantStatus>> GetTenantsAsync(CancellationToken cancellationToken) =>
        GetAsync(AdminRoutes.Tenants, AdminJson.Default.IReadOnlyListTenantStatus, cancellationToken);

    public Task<IReadOnlyList<ConnectionStatus>> GetConnectionsAsync(CancellationToken cancellationToken) =>
        GetAsync(AdminRoutes.Connections, AdminJson.Default.IReadOnlyListConnectionStatus, cancellationToken);

    public Task<IReadOnlyList<ConfigurationEntry>> GetConfigurationAsync(CancellationToken cancellationToken) =>
        GetAsync(AdminRoutes.Configuration, AdminJson.Default.IReadOnlyListConfigurationEntry, cancellationToken);

    /// <summary>The cluster as the node sees it.</summary>
    public Task<ClusterStatus> GetNodesAsync(CancellationToken cancellationToken) =>
        GetAsync(AdminRoutes.Nodes, AdminJson.Default.ClusterStatus, cancellationToken);

    /// <summary>What the node pulled from others and exchanged with Redis.</summary>
    public Task<FlowList> GetFlowsAsync(CancellationToken cancellationToken) =>
        GetAsync(AdminRoutes.Flows, AdminJson.Default.FlowList, cancellationToken);

    /// <summary>What each node of the cluster pulled, by way of this one.</summary>
    public Task<ClusterFlows> GetClusterFlowsAsync(CancellationToken cancellationToken) =>
        GetAsync(AdminRoutes.ClusterFlows, AdminJson.Default.ClusterFlows, cancellationToken);

    /// <summary>Declares a node gone, however many others are silent. False: no other member has the id.</summary>
    public Task<bool> ForgetNodeAsync(string id, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(id);
        return DeleteAsync($"{AdminRoutes.Nodes}/{Uri.EscapeDataString(id)}", cancellationToken);
    }

    /// <summary>The last seconds of the node, oldest first.</summary>
    public Task<HistoryStatus> GetHistoryAsync(int seconds, CancellationToken cancellationToken) =>
        GetAsync($"{AdminRoutes.History}?seconds={seconds}", AdminJson.Default.HistoryStatus, cancellationToken);

    /// <summary>The groups of blocks with most hits.</summary>
    public Task<PrefixList> GetPrefixesAsync(int count, CancellationToken cancellationToken) =>
        GetAsync($"{AdminRoutes.Prefixes}?count={count}", AdminJson.Default.PrefixList, cancellationToken);

    /// <summary>What a change of capacity would do to what the node finds.</summary>
    /// <param name="moreHostBytes">Bytes of RAM more than now: 0 to <see cref="AdviceLimits.MaxMoreBytes"/>.</param>
    /// <param name="moreDiskBytes">Bytes of disk more than now, within the same bounds.</param>
    /// <param name="codecRatio">Bytes of a block over the bytes that it would be kept in: 1 to <see cref="AdviceLimits.MaxCodecRatio"/>.</param>
    public Task<AdviceStatus> GetAdviceAsync(long moreHostBytes, long moreDiskBytes, double codecRatio, CancellationToken cancellationToken)
    {
        var query = string.Create(CultureInfo.InvariantCulture, $"ram={moreHostBytes}&disk={moreDiskBytes}&codec={codecRatio:0.####}");
        return GetAsync($"{AdminRoutes.Advice}?{query}", AdminJson.Default.AdviceStatus, cancellationToken);
    }

    /// <summary>One block, or null when the node does not have it.</summary>
    /// <param name="tenant">Owner; null for the caller's own tenant.</param>
    /// <param name="key">Key in base64url.</param>
    public async Task<BlockStatus?> FindBlockAsync(string? tenant, string key, CancellationToken cancellationToken)
    {
        using var response = await _http.GetAsync(new Uri(BlockPath(tenant, key), UriKind.Relative), cancellationToken).ConfigureAwait(false);
        return response.StatusCode == HttpStatusCode.NotFound
            ? null
            : await ReadAsync(response, AdminJson.Default.BlockStatus, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>One page of a tenant's blocks.</summary>
    /// <param name="tenant">Owner; null for the caller's own tenant.</param>
    /// <param name="cursor">"0" for the first page, then <see cref="BlockPage.NextCursor"/>.</param>
    /// <param name="count">Most blocks in the page.</param>
    public Task<BlockPage> ListBlocksAsync(string? tenant, string cursor, int count, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(cursor);
        var owner = tenant is null ? "" : $"tenant={Uri.EscapeDataString(tenant)}&";
        var path = $"{AdminRoutes.Blocks}?{owner}cursor={Uri.EscapeDataString(cursor)}&count={count}";
        return GetAsync(path, AdminJson.Default.BlockPage, cancellationToken);
    }

    /// <summary>Removes one block. False: there was none.</summary>
    public async Task<bool> RemoveBlockAsync(string? tenant, string key, CancellationToken cancellationToken)
    {
        using var response = await _http.DeleteAsync(new Uri(BlockPath(tenant, key), UriKind.Relative), cancellationToken).ConfigureAwait(false);
        if (response.StatusCode == HttpStatusCode.NotFound)
        {
            return false;
        }

        return (await ReadAsync(response, AdminJson.Default.RemoveResult, cancellationToken).ConfigureAwait(false)).Removed;
    }

    public async Task<PurgeResult> PurgeAsync(PurgeRequest request, CancellationToken cancellationToken)
    {
        using var response = await _http
            .PostAsJsonAsync(new Uri(AdminRoutes.Purge, UriKind.Relative), request, AdminJson.Default.PurgeRequest, cancellationToken)
            .ConfigureAwait(false);
        return await ReadAsync(response, AdminJson.Default.PurgeResult, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Ends one connection of the data plane. False: it was gone already.</summary>
    public Task<bool> EndConnectionAsync(long id, CancellationToken cancellationToken) =>
        DeleteAsync($"{AdminRoutes.Connections}/{id}", cancellationToken);

    /// <summary>The node, once a second, until the node ends the stream or the caller stops reading.</summary>
    public async IAsyncEnumerable<LiveUpdate> WatchAsync(
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, AdminRoutes.Live);
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("text/event-stream"));
        using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken).ConfigureAwait(false);
        await ThrowIfRefusedAsync(response, cancellationToken).ConfigureAwait(false);
        using var stream = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        using var events = new LiveEventReader(stream);
        while (await events.ReadAsync(cancellationToken).ConfigureAwait(false) is { } update)
        {
            yield return update;
        }
    }

    public void Dispose() => _http.Dispose();

    private static HttpClient CreateHttp(Uri node, string? token)
    {
        ArgumentNullException.ThrowIfNull(node);
        var http = new HttpClient(new SocketsHttpHandler { ConnectTimeout = ConnectTimeout, UseProxy = !node.IsLoopback })
        {
            BaseAddress = node,
            Timeout = RequestTimeout,
        };
        if (token is not null)
        {
            http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        }

        return http;
    }

    private static string BlockPath(string? tenant, string key)
    {
        var owner = tenant is null ? "" : $"tenant={Uri.EscapeDataString(tenant)}&";
        return $"{AdminRoutes.Blocks}?{owner}key={Uri.EscapeDataString(key)}";
    }

    /// <summary>False: there was nothing to delete.</summary>
    private async Task<bool> DeleteAsync(string path, CancellationToken cancellationToken)
    {
        using var response = await _http.DeleteAsync(new Uri(path, UriKind.Relative), cancellationToken).ConfigureAwait(false);
        if (response.StatusCode == HttpStatusCode.NotFound)
        {
            return false;
        }

        await ThrowIfRefusedAsync(response, cancellationToken).ConfigureAwait(false);
        return true;
    }

    private async Task<T> GetAsync<T>(string path, JsonTypeInfo<T> type, CancellationToken cancellationToken)
    {
        using var response = await _http.GetAsync(new Uri(path, UriKind.Relative), cancellationToken).ConfigureAwait(false);
        return await ReadAsync(response, type, cancellationToken).ConfigureAwait(false);
    }

    private static async Task<T> ReadAsync<T>(HttpResponseMessage response, JsonTypeInfo<T> type, CancellationToken cancellationToken)
    {
        await ThrowIfRefusedAsync(response, cancellationToken).ConfigureAwait(false);
        try
        {
            return await response.Content.ReadFromJsonAsync(type, cancellationToken).ConfigureAwait(false)
                ?? throw new IOException($"The node answered null to {response.RequestMessage?.RequestUri}.");
        }
        catch (JsonException exception)
        {
            throw new IOException($"The answer to {response.RequestMessage?.RequestUri} is not the JSON of a KvMesh node.", exception);
        }
    }

    private static async Task ThrowIfRefusedAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        if (response.IsSuccessStatusCode)
        {
            return;
        }

        ErrorBody? error = null;
        if (response.Content.Headers.ContentType?.MediaType is "application/problem+json" or "application/json")
        {
            try
            {
                error = await response.Content.ReadFromJsonAsync(AdminJson.Default.ErrorBody, cancellationToken).ConfigureAwait(false);
            }
            catch (JsonException)
            {
                // A proxy in between may answer in a form of its own; the status code then says it all.
            }
        }

        throw new AdminRefusedException(response.StatusCode, error);
    }
}
