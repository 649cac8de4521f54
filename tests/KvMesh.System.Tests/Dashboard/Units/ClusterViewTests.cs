using System.Text;
using KvMesh.Dashboard.Cluster;
using KvMesh.Dashboard.Feed;
using KvMesh.Dashboard.Views;
using KvMesh.Protocol.Admin;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.System.Tests.Dashboard.Units;

/// <summary>What the page of the cluster says of each state, as HTML.</summary>
public sealed class ClusterViewTests
{
    private static readonly ClusterStatus Three = new(
        "kvmesh", "n1", "member", "", "Redis 127.0.0.1:6379", null, 7, IsFrozen: false, [], [Member("n1"), Member("n2"), Member("n3")]);

    [Fact]
    public async Task Orders_show_their_reason_and_only_those_that_run_can_be_cancelled()
    {
        var html = await RenderAsync(Three, new OrderList(
            "n2", 3, IsPaused: false, [Order(11, "running", "hot <b>prefix</b>"), Order(12, "done", "finished")], [new DeferredOrderStatus(Order(0, "planned", "later"), "budget")]));

        Assert.Contains("planned by n2", html, StringComparison.Ordinal);
        Assert.Contains("hot &lt;b&gt;prefix&lt;/b&gt;", html, StringComparison.Ordinal);
        Assert.Contains("do=cancel&amp;subject=11", html, StringComparison.Ordinal);
        Assert.DoesNotContain("subject=12", html, StringComparison.Ordinal);
        Assert.Contains("It lacks budget.", html, StringComparison.Ordinal);
        Assert.Contains("do=pause", html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_paused_or_missing_scheduler_is_said()
    {
        var html = await RenderAsync(Three, new OrderList("", 0, IsPaused: true, [], []));

        Assert.Contains("do=resume", html, StringComparison.Ordinal);
        Assert.DoesNotContain("do=pause", html, StringComparison.Ordinal);
        Assert.Contains("id=\"no-scheduler\"", html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_silent_store_a_frozen_view_and_silent_nodes_are_said()
    {
        var html = await RenderAsync(Three with { StoreSilentSeconds = 75, IsFrozen = true, HeldBack = ["n3"] }, null);

        Assert.Contains("1 min 15 s", html, StringComparison.Ordinal);
        Assert.Contains("The last view stays in force", html, StringComparison.Ordinal);
        Assert.Contains("n3 look dead", html, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("draining", "Draining", "do=undrain&amp;subject=n2", "do=drain&amp;subject=n2")]
    [InlineData("active", "Active", "do=drain&amp;subject=n2", "do=undrain&amp;subject=n2")]
    [InlineData("leaving", "Leaving", "do=forget&amp;subject=n2", "do=drain&amp;subject=n2")]
    public async Task A_node_offers_what_its_state_allows(string state, string word, string offered, string withheld)
    {
        var html = await RenderAsync(Three with { Nodes = [Member("n1"), Member("n2") with { State = state }] }, null);

        Assert.Contains(word, html, StringComparison.Ordinal);
        Assert.Contains(offered, html, StringComparison.Ordinal);
        Assert.DoesNotContain(withheld, html, StringComparison.Ordinal);
        Assert.DoesNotContain("do=forget&amp;subject=n1", html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_thousand_nodes_are_not_a_thousand_cards()
    {
        var nodes = Enumerable.Range(0, 1000).Select(index => Member($"n{index}")).ToArray();
        nodes[999] = nodes[999] with { State = "draining" };
        var html = await RenderAsync(Three with { Nodes = nodes }, null);

        Assert.Contains("and 952 more", html, StringComparison.Ordinal);
        Assert.Contains("id=\"node-n999\"", html, StringComparison.Ordinal);
    }

    private static MemberStatus Member(string id) =>
        new(id, 1, "active", IsUsed: true, "127.0.0.1:1", "http://127.0.0.1:2/", "", "machine", "1.0.0", 1, 1, [new MemberTier("host", 100, 50)]);

    private static OrderStatus Order(long id, string state, string reason) =>
        new(id, "replicate", state, "default", "00112233445566778899aabbccddeeff", 0, 4, "n3", ["n1"], 4096, 1024, 0.5, 2, reason, null, null, "");

    private static async Task<string> RenderAsync(ClusterStatus status, OrderList? orders)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Services.AddRazorComponents();
        await using var application = builder.Build();
        var frames = new FrameRenderer(application.Services.GetRequiredService<IServiceScopeFactory>(), NullLoggerFactory.Instance);
        var picture = new ClusterPicture { State = FeedState.Live, Status = status, Orders = new Part<OrderList>(orders, IsDenied: false) };
        var html = await frames.RenderAsync<ClusterView>(frames, 1, 0, () => new() { [nameof(ClusterView.Picture)] = picture });
        return Encoding.UTF8.GetString(html);
    }
}
