using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using KvMesh.Protocol.Admin;
using KvMesh.TestKit;

namespace KvMesh.Gateway.Tests.Http;

/// <summary>What the routes of orders and drains make of a desk: fields, rights, names in the audit, and refusals.</summary>
public sealed class OrderApiTests
{
    private readonly ScriptedDesk _desk = new();

    [Fact]
    public async Task Orders_are_listed_as_many_as_asked_for()
    {
        await using var door = await PlacementDoor.OpenAsync(_desk);
        var http = door.Client();

        var all = await GetAsync<OrderList>(http, AdminRoutes.Orders);
        var one = await GetAsync<OrderList>(http, AdminRoutes.Orders + "?count=1");

        Assert.Equal(("n1", 7L, false), (all.Scheduler, all.Token, all.IsPaused));
        Assert.Equal([2L, 1L], all.Orders.Select(order => order.Id));
        Assert.Equal("budget", Assert.Single(all.Deferred).Why);
        Assert.Equal(2, Assert.Single(one.Orders).Id);
        await RefusedAsync(http.GetAsync(AdminRoutes.Orders + "?count=0"), HttpStatusCode.BadRequest, "count");
    }

    [Fact]
    public async Task A_plan_is_shown_and_an_order_cancelled_once()
    {
        await using var door = await PlacementDoor.OpenAsync(_desk);
        var http = door.Client();

        using var plan = await http.PostAsync(AdminRoutes.Orders + "/plan", null);
        var preview = await plan.Content.ReadFromJsonAsync<PlanPreview>(AdminJson.Default.Options);
        using var cancelled = await http.DeleteAsync(AdminRoutes.Orders + "/2");

        Assert.Equal("planned", Assert.Single(preview!.Orders).State);
        Assert.Equal(HttpStatusCode.NoContent, cancelled.StatusCode);
        await RefusedAsync(http.DeleteAsync(AdminRoutes.Orders + "/3"), HttpStatusCode.NotFound, "id");
        await RefusedAsync(http.DeleteAsync(AdminRoutes.Orders + "/two"), HttpStatusCode.BadRequest, "id");
    }

    [Fact]
    public async Task Without_credentials_the_audit_names_the_address()
    {
        await using var door = await PlacementDoor.OpenAsync(_desk);
        var http = door.Client();

        foreach (var path in new[] { "/pause", "/resume" })
        {
            using var answer = await http.PostAsync(AdminRoutes.Orders + path, null);
            Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
        }

        var audit = await GetAsync<IReadOnlyList<AuditEntry>>(http, AdminRoutes.Orders + "/audit");
        Assert.Equal([("127.0.0.1", "resume"), ("127.0.0.1", "pause")], audit.Select(entry => (entry.Actor, entry.Action)));
        Assert.Equal("resume", Assert.Single(await GetAsync<IReadOnlyList<AuditEntry>>(http, AdminRoutes.Orders + "/audit?count=1")).Action);
    }

    [Fact]
    public async Task With_credentials_only_admins_act_and_the_audit_names_the_token()
    {
        await using var door = await PlacementDoor.OpenAsync(
            _desk, new TestToken("default", "root", "admin") { Note = "night shift" }, new TestToken("default", "plain", "admin"),
            new TestToken("default", "worker", "read", "write", "remove"));
        foreach (var token in new[] { "root", "plain" })
        {
            using var answer = await door.Client(token).PostAsync(AdminRoutes.Nodes + "/n2/drain", null);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }

        var worker = door.Client("worker");
        await RefusedAsync(worker.PostAsync(AdminRoutes.Nodes + "/n2/drain", null), HttpStatusCode.Forbidden, "Authorization");
        await RefusedAsync(worker.PostAsync(AdminRoutes.Orders + "/pause", null), HttpStatusCode.Forbidden, "Authorization");
        await RefusedAsync(worker.GetAsync(AdminRoutes.Orders), HttpStatusCode.Forbidden, "Authorization");
        var audit = await GetAsync<IReadOnlyList<AuditEntry>>(door.Client("root"), AdminRoutes.Orders + "/audit");
        Assert.Equal(["default", "night shift"], audit.Select(entry => entry.Actor));
    }

    [Fact]
    public async Task A_drain_begins_tells_how_far_it_is_and_is_taken_back()
    {
        await using var door = await PlacementDoor.OpenAsync(_desk);
        var http = door.Client();
        const string Path = AdminRoutes.Nodes + "/n2/drain";

        using var begun = await http.PostAsync(Path, null);
        var progress = await GetAsync<DrainStatus>(http, Path);
        using var ended = await http.DeleteAsync(Path);

        Assert.Equal("draining", (await begun.Content.ReadFromJsonAsync<DrainStatus>(AdminJson.Default.Options))!.State);
        Assert.Equal(("n2", "draining", 40L), (progress.Node, progress.State, progress.BlocksLeft));
        Assert.Equal("active", (await ended.Content.ReadFromJsonAsync<DrainStatus>(AdminJson.Default.Options))!.State);
        await RefusedAsync(http.PostAsync(AdminRoutes.Nodes + "/n9/drain", null), HttpStatusCode.NotFound, "id");
        await RefusedAsync(http.PostAsync(AdminRoutes.Nodes + "/No%20id/drain", null), HttpStatusCode.BadRequest, "id");
    }

    [Fact]
    public async Task While_nobody_plans_every_route_says_why()
    {
        _desk.Unavailable = "No node plans at the moment.";
        await using var door = await PlacementDoor.OpenAsync(_desk);
        var http = door.Client();

        Assert.Contains("No node plans", await RefusedAsync(http.GetAsync(AdminRoutes.Orders), HttpStatusCode.ServiceUnavailable, null), StringComparison.Ordinal);
        await RefusedAsync(http.PostAsync(AdminRoutes.Orders + "/pause", null), HttpStatusCode.ServiceUnavailable, null);
        await RefusedAsync(http.DeleteAsync(AdminRoutes.Orders + "/2"), HttpStatusCode.ServiceUnavailable, null);
        await RefusedAsync(http.GetAsync(AdminRoutes.Nodes + "/n2/drain"), HttpStatusCode.ServiceUnavailable, null);
    }

    [Fact]
    public async Task A_node_without_placement_says_so_and_still_describes_its_routes()
    {
        await using var door = await PlacementDoor.OpenAsync(desk: null);
        var http = door.Client();

        Assert.Contains("no part in placement", await RefusedAsync(http.GetAsync(AdminRoutes.Orders), HttpStatusCode.ServiceUnavailable, null), StringComparison.Ordinal);
        using var document = JsonDocument.Parse(await http.GetStringAsync(AdminRoutes.OpenApi));
        var paths = document.RootElement.GetProperty("paths");
        Assert.All(
            new[] { "", "/plan", "/pause", "/resume", "/audit", "/{id}" }, path => Assert.True(paths.TryGetProperty(AdminRoutes.Orders + path, out _), path));
        Assert.True(paths.GetProperty(AdminRoutes.Nodes + "/{id}/drain").TryGetProperty("delete", out _));
    }

    private static async Task<T> GetAsync<T>(HttpClient http, string path) => (await http.GetFromJsonAsync<T>(path, AdminJson.Default.Options))!;

    private static async Task<string> RefusedAsync(Task<HttpResponseMessage> asked, HttpStatusCode status, string? field)
    {
        using var response = await asked;
        var error = (await response.Content.ReadFromJsonAsync<ErrorBody>(AdminJson.Default.Options))!;
        Assert.Equal((status, field), (response.StatusCode, error.Field));
        return error.Detail ?? "";
    }
}
