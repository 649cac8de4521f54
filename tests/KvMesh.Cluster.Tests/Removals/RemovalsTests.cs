using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Removals;
using KvMesh.TestKit;

namespace KvMesh.Cluster.Tests.Removals;

public sealed class RemovalsTests : IAsyncLifetime, IAsyncDisposable
{
    private readonly SimulatedClock _clock = new();
    private readonly SwitchedLog _log;
    private readonly RemovalNode _a;
    private readonly RemovalNode _b;

    public RemovalsTests()
    {
        _log = new SwitchedLog(_clock);
        _a = new RemovalNode("a", _log, _clock);
        _b = new RemovalNode("b", _log, _clock);
    }

    public async Task InitializeAsync()
    {
        await _a.TurnAsync();
        await _b.TurnAsync();
        _a.Keys.UnionWith(["k", "l"]);
        _b.Keys.UnionWith(["k", "l"]);
    }

    Task IAsyncLifetime.DisposeAsync() => DisposeAsync().AsTask();

    public async ValueTask DisposeAsync()
    {
        await _a.DisposeAsync();
        await _b.DisposeAsync();
        await _log.DisposeAsync();
    }

    [Fact]
    public async Task A_removed_key_is_taken_from_nobody_until_it_was_told_and_then_from_those_who_heard()
    {
        _a.Remove("k");
        Assert.False(_a.Removals.MayPull("acme", "k"u8, out _));
        Assert.True(_a.MayTake("l", _b));

        await _a.TurnAsync();
        _clock.Advance(TimeSpan.FromSeconds(3));
        Assert.False(_a.MayTake("k", _b));
        Assert.Equal(1, _b.Removals.Figures.Behind);
        await _b.TurnAsync();

        Assert.True(_a.MayTake("k", _b));
        Assert.True(_b.MayTake("k", _a));
        Assert.Equal(["l"], _b.Keys);
        Assert.Equal(["l"], _a.Keys);
    }

    [Fact]
    public async Task What_is_put_again_is_not_taken_away_by_the_own_removal()
    {
        _a.Remove("k");
        _a.Keys.Add("k");
        await _a.TurnAsync();
        await _a.TurnAsync();

        Assert.Contains("k", _a.Keys);
    }

    [Fact]
    public async Task A_key_that_is_removed_again_while_the_first_removal_is_told_is_told_again()
    {
        _a.Remove("k");
        await _a.TurnAsync();
        await _b.TurnAsync();
        _b.Keys.Add("k");

        _a.Remove("k");
        await _a.TurnAsync();
        await _b.TurnAsync();

        Assert.DoesNotContain("k", _b.Keys);
        Assert.Equal(2, _a.Removals.Figures.Told);
    }

    [Fact]
    public async Task A_node_that_was_down_carries_out_what_it_missed()
    {
        _a.Remove("k");
        _a.PurgeTenant("other");
        await _a.TurnAsync();

        _b.Restart();
        Assert.False(_a.MayTake("x", _b) && _b.Removals.Applied >= _a.Removals.Applied);
        await _b.TurnAsync();

        Assert.Equal(["other"], _b.Purged.Select(scope => scope.Tenant));
        Assert.DoesNotContain("k", _b.Keys);
        Assert.Equal(_a.Removals.Applied, _b.Removals.Applied);
    }

    [Fact]
    public async Task A_node_that_cannot_read_what_it_had_carried_out_lets_everything_go_once()
    {
        await _b.TurnAsync();
        _a.Remove("k");
        await _a.TurnAsync();
        _b.Keys.Add("k");
        _b.SpoilMemory();

        _b.Restart();

        Assert.Empty(_b.Keys);
        _b.Keys.Add("new");
        _b.Restart();
        await _b.TurnAsync();
        Assert.Equal(1, _b.Drops);
        Assert.Contains("new", _b.Keys);
    }

    [Fact]
    public async Task A_purge_keeps_everything_of_the_tenant_from_those_who_have_not_done_it()
    {
        _a.PurgeTenant();
        Assert.True(_a.Removals.IsPurging("acme"));
        Assert.False(_a.Removals.MayPull("acme", "l"u8, out _));
        Assert.True(_a.Removals.MayPull("beta", "l"u8, out _));

        await _a.TurnAsync();
        Assert.False(_a.Removals.IsPurging("acme"));
        Assert.False(_a.MayTake("l", _b));
        await _b.TurnAsync();

        Assert.True(_a.MayTake("l", _b));
        Assert.Empty(_b.Keys);
        Assert.Empty(_a.Purged);
        Assert.Equal(_a.Removals.LastRemoval("acme", "m", "r", "l"u8), _b.Removals.LastRemoval("acme", "m", "r", "l"u8));
        Assert.Equal(0, _b.Removals.LastRemoval("beta", "m", "r", "l"u8));
    }

    [Fact]
    public async Task A_purge_is_reported_with_those_who_have_not_done_it()
    {
        _a.Current = new ClusterView(1, [Record("a"), Record("b")], isFrozen: false);
        _a.PurgeTenant();
        await _a.TurnAsync();

        var early = await _a.Removals.WaitForPurgesAsync(TimeSpan.Zero, CancellationToken.None);
        await _b.TurnAsync();
        var late = await _a.Removals.WaitForPurgesAsync(TimeSpan.Zero, CancellationToken.None);

        Assert.Equal((2, true), (early.Nodes, early.IsTold));
        Assert.Equal("b", Assert.Single(early.Behind).Value);
        Assert.Empty(late.Behind);
    }

    [Fact]
    public async Task While_the_store_is_silent_removals_wait_and_outlive_the_node()
    {
        _log.IsSilent = true;
        _a.Remove("k");
        _a.PurgeTenant("other");
        Assert.False(await _a.TurnAsync());
        var report = await _a.Removals.WaitForPurgesAsync(TimeSpan.Zero, CancellationToken.None);
        Assert.False(report.IsTold);
        Assert.Contains("silent", report.Problem, StringComparison.Ordinal);

        _a.Restart();
        Assert.Equal(2, _a.Removals.Untold);
        Assert.False(_a.Removals.MayPull("acme", "k"u8, out _));
        Assert.True(_a.Removals.IsPurging("other"));
        _log.IsSilent = false;
        await _a.TurnAsync();
        await _b.TurnAsync();

        Assert.Equal(0, _a.Removals.Untold);
        Assert.DoesNotContain("k", _b.Keys);
        Assert.Equal("other", Assert.Single(_b.Purged).Tenant);
    }

    [Fact]
    public async Task A_store_that_lost_everything_gets_the_purges_back_and_nobody_who_kept_up_loses_anything()
    {
        _a.PurgeTenant("other");
        await _a.TurnAsync();
        await _b.TurnAsync();
        _a.Remove("k");
        await _a.TurnAsync();
        await _b.TurnAsync();
        _clock.Advance(TimeSpan.FromMinutes(1));
        var late = new RemovalNode("late", _log, _clock);

        _log.LoseEverything();
        await _a.TurnAsync();
        await _b.TurnAsync();
        await late.TurnAsync();

        Assert.Equal((0, 0), (_a.Drops, _b.Drops));
        Assert.Equal(["l"], _a.Keys);
        Assert.Equal("other", Assert.Single(late.Purged).Tenant);
        Assert.True(late.Removals.Applied >= _a.Removals.Applied);
        Assert.True(late.MayTake("l", _a));
        await late.DisposeAsync();
    }

    [Fact]
    public async Task A_node_that_had_missed_removals_when_the_store_lost_them_lets_everything_go()
    {
        _a.Remove("k");
        await _a.TurnAsync();
        _clock.Advance(TimeSpan.FromMinutes(1));
        _log.LoseEverything();

        // It comes first, and learns later from the other what it has missed.
        _b.Restart();
        await _b.TurnAsync();
        await _a.TurnAsync();
        await _b.TurnAsync();

        Assert.Equal(1, _b.Drops);
        Assert.Empty(_b.Keys);
        await _b.TurnAsync();
        Assert.Equal((0, 1), (_a.Drops, _b.Drops));
    }

    [Fact]
    public async Task What_was_told_a_moment_before_the_store_lost_it_is_told_again()
    {
        _clock.Advance(TimeSpan.FromMinutes(1));
        _a.Remove("k");
        await _a.TurnAsync();
        _log.LoseEverything();

        await _b.TurnAsync();
        await _a.TurnAsync();
        await _a.TurnAsync();
        await _b.TurnAsync();

        Assert.Equal(0, _b.Drops);
        Assert.Equal(["l"], _b.Keys);
    }

    [Fact]
    public async Task Who_missed_more_than_the_log_keeps_lets_everything_go()
    {
        for (var index = 0; index < RemovalLimits.MaxKeptKeys + 1; index++)
        {
            _a.Removals.Remove("acme", BitConverter.GetBytes(index));
            if (index % 1024 == 0)
            {
                await _a.TurnAsync();
            }
        }

        await _a.TurnAsync();
        await _b.TurnAsync();

        Assert.Equal((0, 1), (_a.Drops, _b.Drops));
        Assert.Empty(_b.Keys);
        Assert.Equal(["k", "l"], _a.Keys.Order());
    }

    [Fact]
    public async Task More_removals_than_can_wait_become_a_purge_of_the_tenant()
    {
        _log.IsSilent = true;
        for (var index = 0; index < RemovalLimits.MaxUntold + 10; index++)
        {
            _a.Removals.Remove("acme", BitConverter.GetBytes(index));
        }

        Assert.True(_a.Removals.IsPurging("acme"));
        Assert.Equal(RemovalLimits.MaxUntold + 1, _a.Removals.Untold);
        _log.IsSilent = false;
        await _a.TurnAsync();
        await _b.TurnAsync();

        Assert.Equal(new PurgeScope("acme", null, null), Assert.Single(_b.Purged));
        Assert.Equal(["k", "l"], _a.Keys.Order());
    }

    [Theory]
    [InlineData("acme", "model", "1")]
    [InlineData("a.b*", "", null)]
    [InlineData("", null, null)]
    public void A_scope_is_the_same_as_text(string tenant, string? model, string? revision)
    {
        var scope = new PurgeScope(tenant, model, revision);

        Assert.True(PurgeScope.TryParse(scope.ToText(), out var read));
        Assert.Equal(scope, read);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("*.a.b")]
    [InlineData("YQ.YQ")]
    [InlineData("YQ.?.YQ")]
    public void What_is_no_scope_is_not_read_as_one(string? text) => Assert.False(PurgeScope.TryParse(text, out _));

    private static NodeRecord Record(string id) => new() { Id = NodeId.Parse(id), NativeAddress = "127.0.0.1:1" };
}
