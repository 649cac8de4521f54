using KvMesh.Engine.Advice;

namespace KvMesh.Engine.Tests.Advice;

public sealed class CapacityAdvisorTests
{
    [Theory]
    [InlineData(1, 400, 4_096, 0.01)]
    [InlineData(2, 3_000, 4_096, 0.01)]
    [InlineData(1, 400, ReuseSample.DearBlocks, 0.03)]
    [InlineData(2, 3_000, ReuseSample.DearBlocks, 0.03)]
    public void A_sample_that_was_halved_many_times_is_close_to_the_exact_curve(int seed, int sessions, int dearBlocks, double meanError)
    {
        var advisor = new CapacityAdvisor(TimeProvider.System, sampleBlocks: 4_096, dearBlocks);
        var tenant = advisor.Join();
        var touches = GeneratedTouches.Of(seed, requests: 14_000, sessions, endChance: 0.05).ToArray();
        var exact = new ExactReuse(2 * touches.Length);
        foreach (var (hash, bytes) in touches)
        {
            exact.Touch(hash);
            exact.Place(hash, bytes);
            advisor.Touch(tenant, hash);
            advisor.Place(hash, bytes);
        }

        double[] sizes = [.. Enumerable.Range(1, 40).Select(step => exact.DistinctBytes * step / 80.0)];
        var reuse = advisor.Estimate(sizes);

        Assert.InRange(reuse.Rate, 0, 0.25);
        Assert.InRange(reuse.SampledBlocks, 1, 4_096);
        var curve = exact.All();
        var errors = sizes.Zip(reuse.All.HitRatios, (size, ratio) => Math.Abs(curve.HitRatioAt(size) - ratio));
        Assert.InRange(errors.Average(), 0, meanError);
        Assert.Equal(reuse.All.HitRatios, reuse.Tenants[tenant].HitRatios);
    }

    [Fact]
    public void A_sample_that_holds_all_blocks_is_exact_but_for_the_width_of_a_bucket()
    {
        var advisor = new CapacityAdvisor(TimeProvider.System);
        var tenant = advisor.Join();
        for (var round = 0; round < 3; round++)
        {
            for (ulong block = 1; block <= 100; block++)
            {
                advisor.Touch(tenant, block << 20);
                advisor.Place(block << 20, 1_048_576);
            }
        }

        var all = advisor.Estimate([0, 97.0 * 1_048_576, 104.0 * 1_048_576]).All;

        Assert.Equal(300, all.Touches);
        Assert.Equal(0, all.HitRatios[0]);
        Assert.Equal(0, all.HitRatios[1], precision: 9);
        Assert.Equal(2 / 3.0, all.HitRatios[2], precision: 9);
        Assert.Equal(2 / 3.0, all.LargestHitRatio, precision: 9);
    }

    [Fact]
    public void A_block_that_was_removed_is_not_counted_as_one_that_more_memory_would_have_kept()
    {
        var advisor = new CapacityAdvisor(TimeProvider.System);
        var tenant = advisor.Join();
        advisor.Place(7, 4_096);
        advisor.Forget(7);
        advisor.Touch(tenant, 7);

        Assert.Equal(0, advisor.Estimate([1e12]).All.LargestHitRatio);
    }

    [Fact]
    public void A_block_that_is_here_and_was_never_seen_is_a_hit_and_is_known_from_then_on()
    {
        var advisor = new CapacityAdvisor(TimeProvider.System);
        var tenant = advisor.Join();
        advisor.Touch(tenant, 7, bytesHere: 4_096);
        advisor.Touch(tenant, 7);

        Assert.Equal(1, advisor.Estimate([1e6]).All.HitRatios[0]);
    }

    [Fact]
    public void What_was_asked_an_hour_ago_weighs_half()
    {
        var clock = new MovedClock();
        var advisor = new CapacityAdvisor(clock);
        var tenant = advisor.Join();
        for (ulong block = 0; block < 1_000; block++)
        {
            advisor.Touch(tenant, block << 40);
        }

        clock.Seconds = 3_600;
        advisor.Touch(tenant, 1);

        Assert.InRange(advisor.Estimate([1]).All.Touches, 499, 502);
    }

    [Fact]
    public void Touches_allocate_nothing_and_memory_is_bounded_for_any_number_of_tenants()
    {
        var advisor = new CapacityAdvisor(TimeProvider.System);
        var tenants = Enumerable.Range(0, 200).Select(_ => advisor.Join()).ToArray();
        var random = new Random(3);
        for (var touch = 0; touch < 60_000; touch++)
        {
            advisor.Place((ulong)random.NextInt64() << 1, 65_536);
        }

        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var touch = 0; touch < 100_000; touch++)
        {
            var hash = (ulong)random.NextInt64() << 1;
            advisor.Touch(tenants[touch % tenants.Length], hash);
            advisor.Place(hash, 65_536);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.Equal(CapacityAdvisor.MaxTenantCurves + 1, tenants.Distinct().Count());
        Assert.True(tenants[^1].IsShared);
        Assert.InRange(advisor.MemoryBytes, 1, 2 << 20);
        Assert.InRange(new CapacityAdvisor(TimeProvider.System).MemoryBytes, 1, 1 << 20);
    }

    [Fact]
    public void Threads_that_touch_at_once_lose_no_count()
    {
        var advisor = new CapacityAdvisor(TimeProvider.System, sampleBlocks: 256);
        var tenant = advisor.Join();
        Parallel.For(0, 4, seed =>
        {
            var random = new Random(seed);
            for (var touch = 0; touch < 20_000; touch++)
            {
                var hash = (ulong)random.Next(2_000) * 0x9E3779B97F4A7C15;
                advisor.Touch(tenant, hash);
                advisor.Place(hash, 4_096);
            }
        });

        var reuse = advisor.Estimate([1e9]);
        Assert.Equal(80_000, reuse.All.Touches);
        Assert.InRange(reuse.SampledBlocks, 1, 256);
        Assert.InRange(reuse.All.HitRatios[0], 0.9, 1);
    }

    private sealed class MovedClock : TimeProvider
    {
        public long Seconds { get; set; }

        public override long TimestampFrequency => 1;

        public override long GetTimestamp() => Seconds;
    }
}
