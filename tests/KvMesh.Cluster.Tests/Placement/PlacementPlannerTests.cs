using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Placement;

namespace KvMesh.Cluster.Tests.Placement;

public sealed class PlacementPlannerTests
{
    [Fact]
    public void A_prefix_goes_to_the_node_at_which_it_is_asked_for() =>
        Assert.Equal(["Replicate 1 0+8 a>b"], new Scene().Node("a").Node("b").Prefix(1, 8, "a:8", "a:1 b:1").Orders());

    [Fact]
    public void Only_what_the_target_lacks_is_moved() =>
        Assert.Equal(["Replicate 1 3+5 a>b"], new Scene().Node("a").Node("b").Prefix(1, 8, "a:8 b:3", "a:1 b:1").Orders());

    [Fact]
    public void A_prefix_that_is_asked_for_elsewhere_only_migrates() =>
        Assert.Equal(["Migrate 1 0+8 a>b"], new Scene().Node("a").Node("b").Prefix(1, 8, "a:8", "b:1").Orders());

    [Fact]
    public void A_request_a_minute_is_no_reason_for_a_copy() =>
        Assert.Empty(new Scene().Node("a").Node("b").Prefix(1, 8, "a:8", "b:0.016").Orders());

    [Fact]
    public void A_full_node_takes_a_copy_only_for_twice_the_gain()
    {
        Assert.Empty(new Scene().Node("a").Node("b", free: 0).Prefix(1, 8, "a:8", "b:0.05").Orders());
        Assert.Single(new Scene().Node("a").Node("b", free: 0).Prefix(1, 8, "a:8", "b:0.07").Orders());
    }

    [Fact]
    public void The_hottest_prefix_comes_first() =>
        Assert.Equal(
            ["Migrate 2 0+4 a>b", "Migrate 1 0+4 a>b"],
            new Scene().Node("a").Node("b").Prefix(1, 4, "a:4", "b:1").Prefix(2, 4, "a:4", "b:5").Orders());

    [Fact]
    public void Demand_alone_makes_no_more_than_the_allowed_copies()
    {
        var scene = new Scene { Options = new PlacementOptions { MaxReplicas = 2 } };

        Assert.Equal(["Replicate 1 0+4 a>c"], scene.Node("a").Node("b").Node("c").Prefix(1, 4, "a:4", "a:9 b:1 c:3").Orders());
    }

    [Fact]
    public void A_block_larger_than_a_steps_share_moves_alone_once_in_as_many_steps_as_it_fills()
    {
        // 5 s of a ten-thousandth of 1 GB/s is half a MB, less than half of a block.
        var input = new Scene { Options = new PlacementOptions { BandwidthShare = 0.0001 } }.Node("a").Node("b").Prefix(1, 8, "a:8", "b:1").Input();

        var plans = Enumerable.Range(0, 12).Select(step => PlacementPlanner.Plan(input with { Now = Scene.Now + (step * input.Options.Step) })).ToList();

        Assert.Equal(4, plans.Sum(plan => plan.Orders.Length));
        Assert.All(plans.SelectMany(plan => plan.Orders), order => Assert.Equal((0, 1), (order.FirstBlock, order.Blocks)));
        Assert.All(plans, plan => Assert.NotEmpty(plan.Deferred));
        Assert.Empty(PlacementPlanner.Plan(input with { Options = input.Options with { BytesPerStep = 0 } }).Orders);
    }

    [Fact]
    public void A_new_node_is_filled_as_fast_as_its_share_of_bandwidth_and_no_faster()
    {
        var scene = new Scene { Options = new PlacementOptions { BytesPerStep = long.MaxValue } }.Node("a").Node("b").Node("new");
        for (var tail = 1UL; tail <= 64; tail++)
        {
            scene.Prefix(tail, 256, "a:256 b:256", "new:1");
        }

        var plan = scene.Plan();

        Assert.InRange(plan.Bytes, (long)(0.9 * 1e9 * 5 * 0.25), (long)(1e9 * 5 * 0.25));
        Assert.NotEmpty(plan.Deferred);
    }

    [Fact]
    public void What_does_not_fit_in_one_step_is_begun_at_the_first_block_and_the_rest_is_deferred()
    {
        var plan = new Scene { Options = new PlacementOptions { BytesPerStep = 3 * Scene.BlockBytes } }
            .Node("a").Node("b").Prefix(1, 8, "a:8", "b:1").Plan();

        Assert.Equal((0, 3), (plan.Orders.Single().FirstBlock, plan.Orders.Single().Blocks));
        Assert.Equal((3, 5), (plan.Deferred.Single().Order.FirstBlock, plan.Deferred.Single().Order.Blocks));
        Assert.Contains("step", plan.Deferred.Single().Why, StringComparison.Ordinal);
    }

    [Fact]
    public void A_pin_that_lost_a_copy_gets_another_one_on_another_machine()
    {
        var scene = new Scene().Node("a", machine: "m1").Node("b", machine: "m1").Node("c", machine: "m2");

        Assert.Equal(["RestorePin 1 0+4 a>c"], scene.Prefix(1, 4, "a:4").Session(1, replicas: 2).Orders());
    }

    [Fact]
    public void A_pin_that_has_its_copies_is_left_alone() =>
        Assert.Empty(new Scene().Node("a").Node("b").Prefix(1, 4, "a:4 b:4").Session(1, replicas: 2).Orders());

    [Fact]
    public void A_copy_on_a_node_that_drains_is_none() =>
        Assert.Equal(
            ["RestorePin 1 0+4 b>c", "RestorePin 1 0+4 b>d"],
            new Scene().Node("b", NodeState.Draining).Node("c").Node("d").Prefix(1, 4, "b:4").Session(1, replicas: 2).Orders().Order());

    [Fact]
    public void What_only_a_draining_node_holds_is_copied_to_who_stays() =>
        Assert.Equal(
            ["Drain 1 0+4 a>b"],
            new Scene().Node("a", NodeState.Draining).Node("b").Prefix(1, 4, "a:4").Prefix(2, 4, "a:4 b:4").Orders());

    [Fact]
    public void Blocks_of_a_session_are_moved_just_before_it_returns()
    {
        static Scene At(double seconds) => new Scene().Node("a").Node("b").Prefix(1, 64, "a:64").Session(1, returnsIn: seconds, returnsTo: "b");

        Assert.Empty(At(3_600).Orders());
        Assert.Equal(["Prefetch 1 0+64 a>b"], At(4).Orders());
    }

    [Fact]
    public void A_guessed_return_makes_nothing_leave_and_a_named_one_does()
    {
        Assert.Equal(["Prefetch 1 0+64 a>b"], At(isGuessed: true, free: 8L << 30).Orders());
        Assert.Empty(At(isGuessed: true, free: 0).Orders());
        Assert.Equal(["Prefetch 1 0+64 a>b"], At(isGuessed: false, free: 0).Orders());

        static Scene At(bool isGuessed, long free) => new Scene { Options = new PlacementOptions { TurnoverShare = 0 } }
            .Node("a").Node("b", free: free).Prefix(1, 64, "a:64").Session(1, returnsIn: 1, returnsTo: "b", isGuessed: isGuessed);
    }

    [Fact]
    public void A_busy_holder_gets_help_from_the_least_busy_node() =>
        Assert.Equal(
            ["Replicate 1 0+4 a>c"],
            new Scene().Node("a", utilisation: 0.9).Node("b", utilisation: 0.5).Node("c", utilisation: 0.1).Prefix(1, 4, "a:4", "a:3").Orders());

    [Fact]
    public void Help_that_was_begun_is_completed_and_then_enough() =>
        Assert.Equal(
            ["Replicate 1 2+2 a>b"],
            new Scene().Node("a", utilisation: 0.9).Node("b", utilisation: 0.5).Node("c", utilisation: 0.1)
                .Prefix(1, 4, "a:4 b:2", "a:3").Prefix(2, 4, "a:4 b:4", "a:3").Orders());

    [Fact]
    public void A_move_in_parts_stays_a_move() =>
        Assert.Equal(["Migrate 1 2+2 a>b"], new Scene().Node("a").Node("b").Prefix(1, 4, "a:4 b:2", "b:3").Orders());

    [Fact]
    public void A_long_prefix_is_laid_on_several_nodes()
    {
        var scene = new Scene { Options = new PlacementOptions { SlowPull = TimeSpan.FromSeconds(0.2) } }
            .Node("a").Node("b").Node("c").Prefix(1, 600, "a:600").Session(1, returnsIn: 3_600);

        var orders = scene.Plan().Orders;

        Assert.All(orders, order => Assert.Equal(OrderKind.Spread, order.Kind));
        Assert.Equal([200, 400], orders.Select(order => order.FirstBlock).Order());
        Assert.Equal(2, orders.Select(order => order.Target).Distinct().Count());
    }

    [Fact]
    public void A_part_that_was_begun_on_a_node_is_gone_on_with_there()
    {
        // Whoever has begun a part is the busiest now, and the idle ones are as many as the parts.
        var scene = new Scene { Options = new PlacementOptions { SlowPull = TimeSpan.FromSeconds(0.2), MaxSpread = 3 } }
            .Node("a").Node("b", utilisation: 0.5).Node("c", utilisation: 0.4).Node("d").Node("e")
            .Prefix(1, 600, "a:600 b:200+50 c:400+20", "a:1");

        Assert.Equal(["Spread 1 250+150 a>b", "Spread 1 420+180 a>c"], scene.Orders().Order());
    }

    [Fact]
    public void Nothing_is_asked_of_a_node_that_leaves_or_is_unknown() =>
        Assert.Empty(new Scene().Node("b", NodeState.Leaving).Node("c").Prefix(1, 4, "b:4 gone:4", "c:5").Orders());

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Any_input_gives_a_plan_within_its_budgets(int seed)
    {
        var random = new Random(seed);
        for (var round = 0; round < 100; round++)
        {
            var input = RandomScene(random).Input();
            var plan = PlacementPlanner.Plan(input);

            Assert.True(plan.Bytes <= input.Options.BytesPerStep);
            Assert.Equal(plan.Orders.Length, plan.Orders.Select(order => order.Name).Distinct().Count());
            Assert.All(plan.Orders, order => AssertSound(input, order));
            Assert.All(
                plan.Orders.GroupBy(order => order.Target),
                group => Assert.True(group.Sum(order => order.Bytes) <= LoadOf(input, group.Key).InBytesPerSecond * 5 * 0.25));
            Assert.Equal(plan.Orders.Select(order => order.Name), PlacementPlanner.Plan(input).Orders.Select(order => order.Name));
        }
    }

    private static void AssertSound(PlacementInput input, PlacementOrder order)
    {
        var state = input.Prefixes.Single(prefix => prefix.Prefix.Tail == order.Prefix.Tail);
        Assert.True(order.Blocks > 0);
        Assert.Equal(NodeState.Active, input.View.Find(order.Target)!.State);
        Assert.True(order.CostSeconds > 0 && order.BenefitSeconds > 0 && order.Reason.Length > 0);
        Assert.DoesNotContain(state.Holdings, held => held.Node == order.Target && held.FirstBlock <= order.FirstBlock && held.FirstBlock + held.Blocks > order.FirstBlock);
        Assert.All(order.Sources, source => Assert.Contains(
            state.Holdings,
            held => held.Node == source && held.FirstBlock <= order.FirstBlock && held.FirstBlock + held.Blocks >= order.FirstBlock + order.Blocks));
        Assert.All(order.Sources, source => Assert.NotEqual(NodeState.Leaving, input.View.Find(source)!.State));
    }

    private static NodeLoad LoadOf(PlacementInput input, NodeId node) => input.Loads.Single(load => load.Node == node);

    private static Scene RandomScene(Random random)
    {
        var scene = new Scene { Options = new PlacementOptions { BytesPerStep = random.Next(1, 4_000) * Scene.BlockBytes, Seed = random.Next() } };
        var names = Enumerable.Range(0, random.Next(1, 8)).Select(index => $"n{index}").ToArray();
        foreach (var name in names)
        {
            var state = random.Next(5) switch { 0 => NodeState.Draining, 1 => NodeState.Leaving, _ => NodeState.Active };
            scene.Node(name, state, random.NextInt64(16L << 30), random.NextDouble(), $"m{random.Next(3)}");
        }

        for (var tail = 1UL; tail <= (ulong)random.Next(1, 20); tail++)
        {
            var blocks = random.Next(1, 3_000);
            scene.Prefix(
                tail, blocks, Some(random, names, () => random.Next(1, blocks + 1)), Some(random, names, () => random.Next(10)));
            if (random.Next(2) == 0)
            {
                scene.Session(tail, random.Next(4), random.Next(-10, 100), random.Next(2) == 0 ? null : names[random.Next(names.Length)]);
            }
        }

        return scene;
    }

    private static string Some(Random random, string[] names, Func<int> number) =>
        string.Join(' ', names.Where(_ => random.Next(2) == 0).Select(name => $"{name}:{number()}"));
}
