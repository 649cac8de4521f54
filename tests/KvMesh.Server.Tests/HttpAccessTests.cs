using System.Net;
using System.Net.Http.Json;
using System.Text;
using KvMesh.Protocol.Admin;
using KvMesh.TestKit;

namespace KvMesh.Server.Tests;

/// <summary>Who may do what over HTTP on a node with tokens.</summary>
public sealed class HttpAccessTests : IAsyncLifetime
{
    private static readonly TestToken[] Tokens =
    [
        new("acme", "acme-reads", "read"), new("acme", "acme-all", "read", "write", "remove"), new("beta", "beta-all", "read", "write", "remove"),
        new("default", "root", "admin"),
    ];

    private TestNode _node = null!;

    public async Task InitializeAsync()
    {
        _node = await TestNode.StartAsync(tokens: Tokens);
        await _node.RespAsync("AUTH acme acme-all\r\nSET a acme\r\n", 10);
        await _node.RespAsync("AUTH beta beta-all\r\nSET b beta\r\n", 10);
    }

    public async Task DisposeAsync() => await _node.DisposeAsync();

    [Theory]
    [InlineData("")]
    [InlineData("acme-reads ")]
    [InlineData("Acme-reads")]
    [InlineData("stranger")]
    public async Task Without_a_known_token_nothing_is_told(string token)
    {
        foreach (var path in new[] { AdminRoutes.Status, AdminRoutes.Blocks, AdminRoutes.Metrics, AdminRoutes.Live, AdminRoutes.Tenants })
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, path);
            request.Headers.TryAddWithoutValidation("Authorization", token.Length == 0 ? "Basic YTpi" : $"Bearer x{token}");
            using var response = await _node.Http.SendAsync(request);

            Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
            Assert.Equal("Bearer realm=\"kvmesh\"", response.Headers.WwwAuthenticate.ToString());
        }
    }

    [Fact]
    public async Task Probes_need_no_token()
    {
        Assert.Equal("healthy\n", await _node.Http.GetStringAsync(AdminRoutes.Healthy));
        Assert.Equal("ready\n", await _node.Http.GetStringAsync(AdminRoutes.Ready));
    }

    [Fact]
    public async Task A_tenant_sees_only_its_own_blocks_figures_and_prefixes()
    {
        using var acme = _node.As("acme-reads");

        Assert.Equal("a", Assert.Single((await _node.GetAsync<BlockPage>(AdminRoutes.Blocks, acme)).Blocks).KeyText);
        Assert.Equal("acme", Assert.Single(await _node.GetAsync<IReadOnlyList<TenantStatus>>(AdminRoutes.Tenants, acme)).Name);
        Assert.Equal("acme", Assert.Single((await _node.GetAsync<PrefixList>(AdminRoutes.Prefixes, acme)).Prefixes).Tenant);
        await RefusedAsync(acme.GetAsync($"{AdminRoutes.Blocks}?text=b"), HttpStatusCode.NotFound);
    }

    [Fact]
    public async Task Naming_another_tenant_is_refused_the_same_whether_it_exists()
    {
        using var acme = _node.As("acme-all");

        var existing = await RefusedAsync(acme.GetAsync($"{AdminRoutes.Blocks}?text=b&tenant=beta"), HttpStatusCode.Forbidden);
        var invented = await RefusedAsync(acme.GetAsync($"{AdminRoutes.Blocks}?text=b&tenant=nope"), HttpStatusCode.Forbidden);
        Assert.Equal(existing.Detail!.Replace("beta", "nope", StringComparison.Ordinal), invented.Detail);

        await RefusedAsync(acme.DeleteAsync($"{AdminRoutes.Blocks}?text=b&tenant=beta"), HttpStatusCode.Forbidden);
        await RefusedAsync(acme.PostAsync(AdminRoutes.Purge, Json("""{ "tenant": "beta" }""")), HttpStatusCode.Forbidden);
        using var root = _node.As("root");
        Assert.Equal("b", (await _node.GetAsync<BlockStatus>($"{AdminRoutes.Blocks}?text=b&tenant=beta", root)).KeyText);
    }

    [Fact]
    public async Task Figures_of_the_node_need_the_right_admin()
    {
        using var acme = _node.As("acme-all");
        using var root = _node.As("root");
        foreach (var path in new[]
        {
            AdminRoutes.Status, AdminRoutes.Tiers, AdminRoutes.Advice, AdminRoutes.Connections, AdminRoutes.Configuration, AdminRoutes.History, AdminRoutes.Live, AdminRoutes.Metrics,
        })
        {
            var refusal = await RefusedAsync(acme.GetAsync(path), HttpStatusCode.Forbidden);
            Assert.Contains("Admin", refusal.Limit, StringComparison.Ordinal);
            using var response = await root.GetAsync(path, HttpCompletionOption.ResponseHeadersRead);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        }

        await RefusedAsync(acme.DeleteAsync($"{AdminRoutes.Connections}/1"), HttpStatusCode.Forbidden);
    }

    [Fact]
    public async Task Removing_needs_the_right_to_remove()
    {
        using var reader = _node.As("acme-reads");
        await RefusedAsync(reader.DeleteAsync($"{AdminRoutes.Blocks}?text=a"), HttpStatusCode.Forbidden);
        await RefusedAsync(reader.PostAsync(AdminRoutes.Purge, Json("{}")), HttpStatusCode.Forbidden);

        using var owner = _node.As("acme-all");
        using var purged = await owner.PostAsync(AdminRoutes.Purge, Json("{}"));
        var result = await purged.Content.ReadFromJsonAsync(AdminJson.Default.PurgeResult);
        Assert.Equal(("acme", 1L, 1, true), (result!.Tenant, result.RemovedBlocks, result.Nodes, result.IsTold));
        Assert.Empty(result.Behind);

        using var root = _node.As("root");
        using var removed = await root.DeleteAsync($"{AdminRoutes.Blocks}?text=b&tenant=beta");
        Assert.True((await removed.Content.ReadFromJsonAsync(AdminJson.Default.RemoveResult))!.Removed);
    }

    [Fact]
    public async Task A_token_that_is_taken_out_of_the_file_opens_nothing_any_more()
    {
        using var acme = _node.As("acme-reads");
        Assert.Single(await _node.GetAsync<IReadOnlyList<TenantStatus>>(AdminRoutes.Tenants, acme));

        TestNode.WriteTokens(_node.Directory, Tokens[1..]);

        await Eventually.Holds(
            async () =>
            {
                using var response = await acme.GetAsync(AdminRoutes.Tenants);
                return response.StatusCode == HttpStatusCode.Unauthorized;
            },
            "the refusal of a token that is gone");
    }

    [Fact]
    public async Task An_address_that_calls_too_often_is_told_to_wait()
    {
        await using var node = await TestNode.StartAsync(options => options.Http.MaxRequestsPerSecond = 2);
        Assert.Equal(HttpStatusCode.OK, await AskAsync());
        await Eventually.Holds(
            async () => (await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => AskAsync()))).Contains(HttpStatusCode.TooManyRequests),
            "a refusal among fifty requests at once");

        async Task<HttpStatusCode> AskAsync()
        {
            using var response = await node.Http.GetAsync(AdminRoutes.Tiers);
            return response.StatusCode;
        }
    }

    private static StringContent Json(string text) => new(text, Encoding.UTF8, "application/json");

    private static async Task<ErrorBody> RefusedAsync(Task<HttpResponseMessage> sending, HttpStatusCode status)
    {
        using var response = await sending;
        Assert.Equal(status, response.StatusCode);
        return (await response.Content.ReadFromJsonAsync<ErrorBody>(AdminJson.Default.Options))!;
    }
}
