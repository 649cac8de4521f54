using KvMesh.Cluster.Membership;

namespace KvMesh.Cluster.Tests.Membership;

public sealed class MembershipTests
{
    private static readonly TimeSpan Promise = TimeSpan.FromSeconds(5);

    [Fact]
    public async Task Nodes_that_joined_see_each_other()
    {
        await using var script = new ClusterScript().With(3);

        await script.PassAsync(TimeSpan.FromSeconds(1));

        Assert.All(script.Nodes, node => Assert.Equal("n0,n1,n2", node.Sees));
        Assert.All(script.Nodes, node => Assert.Equal(script.Nodes[0].Membership.Current.Identity, node.Membership.Current.Identity));
        Assert.All(script.Nodes, node => Assert.False(node.Membership.Current.IsFrozen));
        Assert.Equal(node0Incarnation(script), script.Nodes[1].Membership.Current.Find(NodeId.Parse("n0"))!.Incarnation);

        static long node0Incarnation(ClusterScript script) => script.Nodes[0].Membership.Standing.Incarnation;
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(50)]
    public async Task A_dead_node_is_noticed_within_five_seconds(int count)
    {
        await using var script = new ClusterScript().With(count);
        await script.PassAsync(TimeSpan.FromSeconds(10));

        script.Nodes[1].IsAlive = false;
        var took = await script.UntilAsync(
            () => script.Nodes.Where(node => node.IsAlive).All(node => node.Membership.Current.Find(NodeId.Parse("n1")) is null), "n1 gone from every view");

        Assert.True(took <= Promise, $"It took {took}.");
        Assert.All(script.Nodes.Where(node => node.IsAlive), node => Assert.Equal(count - 1, node.Membership.Current.Nodes.Length));
    }

    [Fact]
    public async Task A_node_that_leaves_is_gone_at_once()
    {
        await using var script = new ClusterScript().With(3);
        await script.PassAsync(TimeSpan.FromSeconds(1));

        await script.Nodes[2].Membership.LeaveAsync();
        script.Nodes[2].IsAlive = false;
        await script.StepAsync();

        Assert.Equal("n0,n1", script.Nodes[0].Sees);
        Assert.Equal(MemberState.Left, script.Nodes[2].Membership.Standing.State);
    }

    [Fact]
    public async Task A_change_of_a_record_reaches_the_others()
    {
        await using var script = new ClusterScript().With(2);
        await script.PassAsync(TimeSpan.FromSeconds(1));

        script.Nodes[0].Membership.Change(record => record with { State = NodeState.Draining });
        await script.StepAsync();

        Assert.All(script.Nodes, node => Assert.Equal(NodeState.Draining, node.Membership.Current.Find(NodeId.Parse("n0"))!.State));
    }

    [Fact]
    public async Task Silence_of_the_store_takes_nobody_away()
    {
        await using var script = new ClusterScript().With(5);
        await script.PassAsync(TimeSpan.FromSeconds(1));

        script.IsStoreSilent = true;
        await script.PassAsync(TimeSpan.FromMinutes(10));
        Assert.All(script.Nodes, node => Assert.Equal("n0,n1,n2,n3,n4", node.Sees));
        Assert.All(script.Nodes, node => Assert.True(node.Membership.Current.IsFrozen));

        script.IsStoreSilent = false;
        for (var i = 0; i < 30; i++)
        {
            await script.StepAsync();
            Assert.All(script.Nodes, node => Assert.Equal("n0,n1,n2,n3,n4", node.Sees));
        }

        Assert.All(script.Nodes, node => Assert.False(node.Membership.Current.IsFrozen));
    }

    [Fact]
    public async Task Who_died_while_the_store_was_silent_stays_one_failure_time_after_it_answers()
    {
        await using var script = new ClusterScript().With(4);
        await script.PassAsync(TimeSpan.FromSeconds(1));
        script.IsStoreSilent = true;
        await script.PassAsync(TimeSpan.FromMinutes(3));
        script.Nodes[3].IsAlive = false;

        script.IsStoreSilent = false;
        await script.PassAsync(script.Options.FailureTime - ClusterScript.Step);
        Assert.Equal("n0,n1,n2,n3", script.Nodes[0].Sees);

        await script.UntilAsync(() => script.Nodes[0].Sees == "n0,n1,n2", "n3 gone");
    }

    [Fact]
    public async Task No_step_takes_more_than_a_third_of_the_nodes()
    {
        await using var script = new ClusterScript().With(9);
        await script.PassAsync(TimeSpan.FromSeconds(5));
        foreach (var node in script.Nodes.Skip(4))
        {
            node.IsAlive = false;
        }

        List<(TimeSpan At, int Count)> seen = [];
        for (var passed = TimeSpan.Zero; passed < TimeSpan.FromSeconds(40); passed += ClusterScript.Step)
        {
            await script.StepAsync();
            seen.Add((passed, script.Nodes[0].Membership.Current.Nodes.Length));
        }

        Assert.Equal(4, seen[^1].Count);
        foreach (var (at, count) in seen)
        {
            var before = seen.LastOrDefault(earlier => earlier.At <= at - script.Options.FailureTime, (default, 9)).Count;
            Assert.True(before - count <= 3, $"From {before} to {count} nodes in one failure time, at {at}.");
        }
    }

    [Fact]
    public async Task An_operator_can_declare_nodes_gone_at_once()
    {
        await using var script = new ClusterScript().With(4);
        await script.PassAsync(TimeSpan.FromSeconds(5));
        script.Nodes[1].IsAlive = script.Nodes[2].IsAlive = script.Nodes[3].IsAlive = false;

        foreach (var id in new[] { "n1", "n2", "n3" })
        {
            Assert.True(await script.Nodes[0].Membership.ForgetAsync(NodeId.Parse(id), CancellationToken.None));
        }

        await script.StepAsync();
        Assert.Equal("n0", script.Nodes[0].Sees);
        Assert.False(await script.Nodes[0].Membership.ForgetAsync(NodeId.Parse("n0"), CancellationToken.None));
    }

    [Fact]
    public async Task A_node_that_was_declared_gone_and_lives_comes_back_under_a_new_incarnation()
    {
        await using var script = new ClusterScript().With(2);
        await script.PassAsync(TimeSpan.FromSeconds(1));
        var before = script.Nodes[1].Membership.Standing.Incarnation;

        Assert.True(await script.Nodes[0].Membership.ForgetAsync(NodeId.Parse("n1"), CancellationToken.None));
        await script.UntilAsync(() => script.Nodes[1].Membership.Standing.Incarnation > before, "a new incarnation");
        await script.StepAsync();

        Assert.Equal("n0,n1", script.Nodes[0].Sees);
        Assert.Equal((1, 0), (script.Nodes[1].Membership.Figures.Dismissals, script.Nodes[1].Membership.Figures.Fences));
    }

    [Fact]
    public async Task A_step_of_the_stores_clock_takes_nobody_away_and_hides_nobody()
    {
        await using var script = new ClusterScript().With(4);
        await script.PassAsync(TimeSpan.FromSeconds(5));

        script.StoreClock.Advance(TimeSpan.FromHours(1));
        for (var i = 0; i < 40; i++)
        {
            await script.StepAsync();
            Assert.All(script.Nodes, node => Assert.Equal("n0,n1,n2,n3", node.Sees));
        }

        script.Nodes[3].IsAlive = false;
        Assert.True(await script.UntilAsync(() => script.Nodes[0].Sees == "n0,n1,n2", "n3 gone") <= Promise);
    }

    [Fact]
    public async Task A_node_that_was_stopped_for_half_a_minute_takes_nobody_away_and_comes_back()
    {
        await using var script = new ClusterScript().With(4);
        await script.PassAsync(TimeSpan.FromSeconds(5));
        script.Nodes[2].IsPaused = true;
        await script.PassAsync(TimeSpan.FromSeconds(30));
        Assert.Equal("n0,n1,n3", script.Nodes[0].Sees);

        script.Nodes[2].IsPaused = false;
        for (var i = 0; i < 20; i++)
        {
            await script.StepAsync();
            Assert.Equal("n0,n1,n2,n3", script.Nodes[2].Sees);
        }

        Assert.All(script.Nodes, node => Assert.Equal("n0,n1,n2,n3", node.Sees));
    }

    [Fact]
    public async Task The_younger_of_two_with_one_id_is_refused_and_told_who_has_it()
    {
        await using var script = new ClusterScript();
        var older = script.Add("a", "owner-1");
        await script.PassAsync(TimeSpan.FromSeconds(1));

        var younger = script.Add("a", "owner-2");
        await script.PassAsync(TimeSpan.FromSeconds(20));

        Assert.Equal(MemberState.Member, older.Membership.Standing.State);
        Assert.Equal(MemberState.Refused, younger.Membership.Standing.State);
        Assert.True(younger.Membership.Standing.IsContested);
        Assert.Contains("a:1", younger.Membership.Standing.Reason, StringComparison.Ordinal);
        Assert.Contains("since 2026-", younger.Membership.Standing.Reason, StringComparison.Ordinal);
        Assert.Equal(0, younger.Membership.Current.Epoch);
    }

    [Fact]
    public async Task The_id_of_a_dead_node_goes_to_another_after_a_failure_time()
    {
        await using var script = new ClusterScript();
        var older = script.Add("a", "owner-1");
        await script.PassAsync(TimeSpan.FromSeconds(1));
        older.IsAlive = false;

        var younger = script.Add("a", "owner-2");
        var took = await script.UntilAsync(() => younger.Membership.Standing.State == MemberState.Member, "the id taken over");

        Assert.True(took <= Promise, $"It took {took}.");
        Assert.True(younger.Membership.Standing.Incarnation > older.Membership.Standing.Incarnation);
        Assert.False(younger.Membership.Standing.IsContested);
    }

    [Fact]
    public async Task A_node_that_returns_on_its_own_data_joins_at_once_and_fences_its_earlier_run()
    {
        await using var script = new ClusterScript();
        var earlier = script.Add("a");
        script.Add("b");
        await script.PassAsync(TimeSpan.FromSeconds(1));

        var later = script.Add("a", lastIncarnation: earlier.Membership.Standing.Incarnation);
        await script.StepAsync();
        await script.StepAsync();

        Assert.Equal(MemberState.Member, later.Membership.Standing.State);
        Assert.Equal(MemberState.Refused, earlier.Membership.Standing.State);
        Assert.Equal("b", earlier.Sees);
        Assert.Equal((0, 1), (earlier.Membership.Figures.Dismissals, earlier.Membership.Figures.Fences));
        Assert.Equal(later.Membership.Standing.Incarnation, script.Nodes[1].Membership.Current.Find(NodeId.Parse("a"))!.Incarnation);
        await script.PassAsync(TimeSpan.FromSeconds(20));
        Assert.Equal(MemberState.Refused, earlier.Membership.Standing.State);
    }

    [Fact]
    public async Task Neighbouring_versions_work_together_and_distant_ones_are_only_listed()
    {
        await using var script = new ClusterScript();
        var old = script.Add("old", minProtocol: 1, maxProtocol: 1);
        var next = script.Add("next", minProtocol: 1, maxProtocol: 2);
        var far = script.Add("far", minProtocol: 2, maxProtocol: 3);
        await script.PassAsync(TimeSpan.FromSeconds(2));

        Assert.Equal("next,old", old.Sees);
        Assert.Equal("far", Assert.Single(old.Membership.Current.Incompatible).Id.Value);
        Assert.Equal("far,next,old", next.Sees);
        Assert.Equal("far,next", far.Sees);
    }

    [Fact]
    public async Task A_reader_gets_the_current_view_and_then_later_ones()
    {
        await using var script = new ClusterScript().With(1);
        await script.PassAsync(TimeSpan.FromSeconds(1));
        await using var views = script.Nodes[0].Membership.WatchAsync(CancellationToken.None).GetAsyncEnumerator();

        Assert.True(await views.MoveNextAsync());
        var first = views.Current;
        var next = views.MoveNextAsync().AsTask();
        script.Add("z");
        await script.PassAsync(TimeSpan.FromSeconds(1));

        Assert.True(await next);
        Assert.True(views.Current.Epoch > first.Epoch);
        Assert.NotNull(views.Current.Find(NodeId.Parse("z")));
    }

    [Fact]
    public async Task Beats_that_are_all_late_are_no_news_and_take_nobody_away()
    {
        await using var script = new ClusterScript().With(60);
        await script.PassAsync(TimeSpan.FromSeconds(10));
        var before = await script.ReadStoreAsync();

        for (var round = 0; round < 5; round++)
        {
            foreach (var node in script.Nodes)
            {
                node.IsPaused = true;
            }

            await script.PassAsync(TimeSpan.FromSeconds(4));
            foreach (var node in script.Nodes)
            {
                node.IsPaused = false;
            }

            await script.PassAsync(TimeSpan.FromSeconds(1));
            Assert.All(script.Nodes, node => Assert.Equal(60, node.Membership.Current.Nodes.Length));
        }

        Assert.Equal(before.Mark.Version, (await script.ReadStoreAsync()).Mark.Version);
        await script.PassAsync(script.Options.FailureTime * 2);
        Assert.All(script.Nodes, node => Assert.Equal(60, node.Membership.Current.Nodes.Length));
        Assert.All(script.Nodes, node => Assert.False(node.Membership.Current.IsFrozen));
    }

    [Fact]
    public async Task More_members_than_one_beat_asks_after_come_back_into_every_view()
    {
        await using var script = new ClusterScript().With(210);
        await script.PassAsync(TimeSpan.FromSeconds(10));
        var away = script.Nodes.Skip(150).ToList();
        away.ForEach(node => node.IsPaused = true);
        await script.UntilAsync(() => script.Nodes[0].Membership.Current.Nodes.Length == 150, "sixty of them gone");

        away.ForEach(node => node.IsPaused = false);
        await script.UntilAsync(() => script.Nodes.All(node => node.Membership.Current.Nodes.Length == 210), "all of them back in every view");
    }

    [Fact]
    public async Task Who_died_just_before_the_stores_clock_was_set_forward_is_noticed()
    {
        await using var script = new ClusterScript().With(4);
        await script.PassAsync(TimeSpan.FromSeconds(5));
        script.Nodes[3].IsAlive = false;
        await script.StepAsync();

        script.StoreClock.Advance(TimeSpan.FromMinutes(20));

        Assert.True(await script.UntilAsync(() => script.Nodes[0].Sees == "n0,n1,n2", "n3 gone") <= Promise);
        Assert.All(script.Nodes.Take(3), node => Assert.Equal("n0,n1,n2", node.Sees));
    }

    [Fact]
    public async Task A_view_finds_each_of_its_nodes_and_no_other()
    {
        await using var script = new ClusterScript().With(23);
        await script.PassAsync(TimeSpan.FromSeconds(1));
        var view = script.Nodes[0].Membership.Current;

        Assert.All(view.Nodes, node => Assert.Same(node, view.Find(node.Id)));
        Assert.Null(view.Find(NodeId.Parse("a")));
        Assert.Null(view.Find(NodeId.Parse("n100")));
        Assert.Null(view.Find(NodeId.Parse("z")));
        Assert.Null(ClusterView.Empty.Find(NodeId.Parse("n0")));
    }
}
