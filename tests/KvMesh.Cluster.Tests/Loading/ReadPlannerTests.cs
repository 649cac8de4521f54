using System.Diagnostics;
using KvMesh.Cluster.Loading;
using Xunit.Abstractions;

namespace KvMesh.Cluster.Tests.Loading;

public sealed class ReadPlannerTests(ITestOutputHelper output)
{
    private const double Tolerance = 1e-6;

    private static readonly PrefillRate Rate = new(1e-4, 0);

    [Fact]
    public void Equal_blocks_of_one_source_are_planned_as_well_as_anybody_can()
    {
        for (var seed = 0; seed < 300; seed++)
        {
            var random = new Random(seed);
            var input = Reads.Input(
                Reads.Equal(random.Next(1, 11), random.Next(16, 512), random.Next(1, 4_000_000), 0),
                new PrefillRate(1e-4 * random.NextDouble() + 1e-6, random.Next(2) * random.NextDouble() * 1e-6),
                Reads.Source("peer", 1e6 * Math.Pow(10, 4 * random.NextDouble()), random.NextDouble() * 0.02, random.Next(2) * 2_000_000));

            var plan = ReadPlanner.Plan(input);

            Assert.True(Math.Abs(plan.Time.TotalSeconds - Reads.Least(input)) < Tolerance, $"seed {seed}: {plan.Time.TotalSeconds} s planned, {Reads.Least(input)} s possible");
        }
    }

    [Fact]
    public void Equal_blocks_are_planned_as_well_as_anybody_can_within_a_deadline()
    {
        for (var seed = 0; seed < 300; seed++)
        {
            var random = new Random(seed);
            var input = Reads.Input(Reads.Equal(random.Next(1, 11), 100, 1_000_000, 0), Rate, Reads.Source("peer", 1e8 * (0.2 + random.NextDouble()), 0.005)) with
            {
                Deadline = TimeSpan.FromSeconds(random.NextDouble() * 0.06),
            };

            var plan = ReadPlanner.Plan(input);

            Assert.True(Math.Abs(plan.Time.TotalSeconds - Reads.Least(input)) < Tolerance, $"seed {seed}: {plan.Time.TotalSeconds} s planned, {Reads.Least(input)} s possible");
            Assert.All(plan.Blocks, block => Assert.True(block.IsComputed || block.End <= input.Deadline + TimeSpan.FromTicks(1)));
        }
    }

    [Fact]
    public void No_plan_is_slower_than_a_pure_one_and_few_are_slower_than_the_best()
    {
        var (worst, sum) = (0.0, 0.0);
        const int Inputs = 400;
        for (var seed = 0; seed < Inputs; seed++)
        {
            var input = Reads.Mixed(new Random(seed));

            var plan = ReadPlanner.Plan(input);

            Assert.True(plan.Time <= plan.ComputeAllTime && plan.Time <= plan.FetchAllTime, $"seed {seed}: {plan.Time} against {plan.ComputeAllTime} and {plan.FetchAllTime}");
            var least = Reads.Least(input);
            var ratio = Math.Max(1, plan.Time.TotalSeconds / least);
            Assert.True(plan.Time.TotalSeconds > least - Tolerance, $"seed {seed}: {plan.Time.TotalSeconds} s planned, {least} s are the least there is");
            worst = Math.Max(worst, ratio);
            sum += ratio;
        }

        output.WriteLine($"times the least: {worst:0.000} at worst, {sum / Inputs:0.0000} on average");
        Assert.InRange(worst, 1, 1.6);
        Assert.InRange(sum / Inputs, 1, 1.03);
    }

    [Theory]
    [InlineData(0, 1e9)]
    [InlineData(0, 2e7)]
    [InlineData(1e-7, 1e8)]
    [InlineData(1e-6, 1e9)]
    public void One_source_is_split_where_the_closed_form_says(double squared, double bytesPerSecond)
    {
        const int Tokens = 64;
        var prefill = new PrefillRate(1e-4, squared);
        var plan = ReadPlanner.Plan(Reads.Input(Reads.Equal(512, Tokens, Tokens * 131_072L, 0), prefill, Reads.Source("peer", bytesPerSecond)));

        var split = SplitPoint.Cake(512 * Tokens, prefill, 131_072, bytesPerSecond) / Tokens;

        Assert.InRange(plan.SplitBlock, split - 1, split + 1);
        Assert.Equal(plan.ComputedBlocks, plan.SplitBlock);
    }

    [Fact]
    public void An_infinitely_fast_source_computes_nothing_and_an_infinitely_slow_one_fetches_nothing()
    {
        Assert.Equal(0, ReadPlanner.Plan(Reads.Input(Reads.Equal(64, 256, 1 << 25, 0), Rate, Reads.Source("ram", 1e15))).ComputedBlocks);
        Assert.Equal(64, ReadPlanner.Plan(Reads.Input(Reads.Equal(64, 256, 1 << 25, 0), Rate, Reads.Source("redis", 1e-3))).ComputedBlocks);
    }

    /// <summary>A published case: 40 s to bring a prefix from disk that 0.9 s would compute.</summary>
    [Fact]
    public void A_disk_that_takes_forty_seconds_does_not_hold_up_a_prefill_of_one()
    {
        var blocks = Reads.Equal(128, 64, 8 << 20, 0);
        var plan = ReadPlanner.Plan(Reads.Input(blocks, new PrefillRate(0.9 / (128 * 64), 0), Reads.Source("disk", 128 * (8 << 20) / 40.0)));

        Assert.Equal(40, plan.FetchAllTime.TotalSeconds, 3);
        Assert.Equal(0.9, plan.ComputeAllTime.TotalSeconds, 3);
        Assert.InRange(plan.Time.TotalSeconds, 0.85, 0.9);
        Assert.InRange(plan.ComputedBlocks, 124, 127);
    }

    [Fact]
    public void A_head_in_ram_is_fetched_the_middle_computed_and_the_tail_fetched_from_its_end()
    {
        var plan = ReadPlanner.Plan(Reads.Input(
            [.. Reads.Equal(10, 100, 1_000_000, 0), .. Reads.Equal(10, 100, 1_000_000, 1)], Rate, Reads.Source("ram", 1e10), Reads.Source("redis", 5e7)));

        Assert.Equal(["0+10 from 0", "10+7 from -1", "17+3 from 1"], plan.Parts.OrderBy(part => part.FirstBlock).Select(part => $"{part.FirstBlock}+{part.Blocks} from {part.Source}"));
        Assert.Equal([19, 18, 17], plan.FetchOrder.Where(block => block >= 10));
        Assert.Equal([0, 1, 2], plan.FetchOrder.Take(3));
        Assert.Equal(17, plan.SplitBlock);
        Assert.True(plan.Blocks[10].Begin >= plan.Blocks[9].End);
    }

    [Fact]
    public void A_busy_worker_leaves_more_to_the_link_and_a_queue_more_to_the_worker()
    {
        var input = Reads.Input(Reads.Equal(20, 100, 1_000_000, 0), Rate, Reads.Source("peer", 1e8));
        var idle = ReadPlanner.Plan(input).ComputedBlocks;

        var behindOthers = ReadPlanner.Plan(input with { WorkerFreeIn = TimeSpan.FromSeconds(0.1) }).ComputedBlocks;
        var behindBytes = ReadPlanner.Plan(input with { Sources = [Reads.Source("peer", 1e8, queuedBytes: 10_000_000)] }).ComputedBlocks;

        Assert.Equal((10, 5, 15), (idle, behindOthers, behindBytes));
    }

    [Fact]
    public void Computing_that_would_save_less_than_is_worth_it_is_left_and_all_is_fetched()
    {
        var input = Reads.Input(Reads.Equal(20, 100, 1_000_000, 0), Rate, Reads.Source("peer", 1e8));
        var planned = ReadPlanner.Plan(input);
        var saved = planned.FetchAllTime - planned.Time;

        Assert.Equal(10, ReadPlanner.Plan(input with { LeastSaving = saved / 2 }).ComputedBlocks);
        Assert.Equal(0, ReadPlanner.Plan(input with { LeastSaving = saved * 2 }).ComputedBlocks);
        Assert.NotEqual(0, ReadPlanner.Plan(input with { LeastSaving = saved * 2, Deadline = planned.FetchAllTime / 2 }).ComputedBlocks);
    }

    /// <summary>Twenty blocks of 10 ms each to compute; the source delivers one in 40 ms.</summary>
    [Fact]
    public void What_a_pass_costs_besides_its_tokens_is_paid_once_more_behind_what_is_fetched()
    {
        var input = Reads.Input(Reads.Equal(20, 100, 1_000_000, 0), Rate, Reads.Source("peer", 2.5e7));
        var dear = input with { Prefill = Rate with { SecondsPerPass = 0.06 }, GoesOn = true };

        Assert.Equal(16, ReadPlanner.Plan(input).ComputedBlocks);
        Assert.Equal(20, ReadPlanner.Plan(dear).ComputedBlocks);
        Assert.Equal(0.26, ReadPlanner.Plan(dear).Time.TotalSeconds, 1e-9);
        Assert.Equal(15, ReadPlanner.Plan(dear with { GoesOn = false }).ComputedBlocks);
        Assert.Equal(0, ReadPlanner.Plan(dear with { Sources = [Reads.Source("peer", 1e9)] }).ComputedBlocks);
    }

    [Fact]
    public void Where_fetching_would_save_less_than_is_worth_it_all_is_computed_that_is_not_here()
    {
        var input = Reads.Input([new HeldBlock(100, 0, [0]), .. Reads.Equal(20, 100, 1_000_000, 1)], Rate, Reads.Source("worker", 1e18), Reads.Source("peer", 1e7));
        var planned = ReadPlanner.Plan(input);

        Assert.Equal(19, planned.ComputedBlocks);
        Assert.Equal(20, ReadPlanner.Plan(input with { LeastSaving = TimeSpan.FromSeconds(0.03) }).ComputedBlocks);
    }

    [Fact]
    public void Several_holders_of_a_block_share_the_work()
    {
        var plan = ReadPlanner.Plan(Reads.Input(Reads.Equal(30, 100, 1_000_000, 0, 1), Rate, Reads.Source("a", 1e9), Reads.Source("b", 2e9)));

        Assert.Equal((10, 20), (plan.Blocks.Count(block => block.Source == 0), plan.Blocks.Count(block => block.Source == 1)));
    }

    [Fact]
    public void A_block_that_would_be_late_is_computed_and_the_reason_says_so()
    {
        var plan = ReadPlanner.Plan(Reads.Input(Reads.Equal(4, 1000, 1_000_000, 0), Rate, Reads.Source("redis", 1e8)) with { Deadline = TimeSpan.FromSeconds(0.015) });

        Assert.Equal((3, 0.3), (plan.ComputedBlocks, plan.Time.TotalSeconds));
        Assert.Contains("after the deadline", plan.Parts.Single(part => part.IsComputed).Reason, StringComparison.Ordinal);
        Assert.Contains("redis delivers it by 0.0100 s", plan.Parts.Single(part => !part.IsComputed).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_span_explains_every_part()
    {
        using var parent = new Activity("test").Start();
        Activity? span = null;
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == ClusterActivities.SourceName,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = stopped => span = stopped.TraceId == parent.TraceId ? stopped : span,
        };
        ActivitySource.AddActivityListener(listener);

        var plan = ReadPlanner.Plan(Reads.Input(Reads.Equal(20, 100, 1_000_000, 0), Rate, Reads.Source("peer", 1e8)));

        Assert.NotNull(span);
        Assert.Equal("plan prefix read", span.OperationName);
        Assert.Equal(10, span.GetTagItem("kvmesh.plan.computed_blocks"));
        var parts = span.Events.Where(entry => entry.Name != "source").ToList();
        Assert.Equal(plan.Parts.Select(part => (object?)part.Reason), parts.Select(entry => entry.Tags.Single(tag => tag.Key == "kvmesh.part.reason").Value));
        Assert.Equal("peer", Assert.Single(span.Events, entry => entry.Name == "source").Tags.Single(tag => tag.Key == "kvmesh.source").Value);
    }

    [Theory]
    [MemberData(nameof(BadInputs))]
    public void Refuses_what_makes_no_sense_with_field_value_and_limit(ReadInput input, string message) =>
        Assert.StartsWith(message, Assert.Throws<ArgumentException>(() => ReadPlanner.Plan(input)).Message, StringComparison.Ordinal);

    public static TheoryData<ReadInput, string> BadInputs()
    {
        var good = Reads.Input(Reads.Equal(2, 16, 100, 0), Rate, Reads.Source("a", 1e9));
        return new TheoryData<ReadInput, string>
        {
            { good with { Blocks = [] }, "Blocks.Length is 0; it must be 1 to 4096." },
            { good with { Blocks = default }, "Blocks.Length is 0; it must be 1 to 4096." },
            { good with { Blocks = Reads.Equal(4097, 16, 100, 0) }, "Blocks.Length is 4097; it must be 1 to 4096." },
            { good with { Sources = [] }, "Sources.Length is 0; it must be 1 to 64." },
            { good with { Prefill = default }, "Prefill.SecondsPerToken is 0; it must be more than 0 and finite." },
            { good with { Prefill = new PrefillRate(1, -1) }, "Prefill.SecondsPerSquaredToken is -1; it must be at least 0 and finite." },
            { good with { Prefill = new PrefillRate(double.NaN, 0) }, "Prefill.SecondsPerToken is NaN; it must be more than 0 and finite." },
            { good with { WorkerFreeIn = TimeSpan.FromSeconds(-1) }, "WorkerFreeIn is -00:00:01; it must be at least 0." },
            { good with { Deadline = TimeSpan.FromSeconds(-1) }, "Deadline is -00:00:01; it must be at least 0, or infinite." },
            { good with { LeastSaving = TimeSpan.FromSeconds(-1) }, "LeastSaving is -00:00:01; it must be at least 0." },
            { good with { Sources = [Reads.Source("a", 0)] }, "Sources[0].BytesPerSecond is 0; it must be more than 0 and finite." },
            { good with { Sources = [Reads.Source("a", 1, -1)] }, "Sources[0].Latency is -00:00:01; it must be at least 0." },
            { good with { Sources = [Reads.Source("a", 1, 0, -5)] }, "Sources[0].QueuedBytes is -5; it must be at least 0." },
            { good with { Blocks = Reads.Equal(1, 0, 100, 0) }, "Blocks[0].Tokens is 0; it must be at least 1." },
            { good with { Blocks = Reads.Equal(1, 1, -1, 0) }, "Blocks[0].Bytes is -1; it must be 0 to 134217728." },
            { good with { Blocks = Reads.Equal(1, 1, 1) }, "Blocks[0].Sources.Length is 0; it must be at least 1." },
            { good with { Blocks = Reads.Equal(1, 1, 1, 1) }, "Blocks[0].Sources is 1; it must be 0 to 0." },
        };
    }
}
