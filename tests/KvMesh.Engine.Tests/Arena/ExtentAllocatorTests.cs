using KvMesh.Engine.Arena;
using KvMesh.Protocol;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Arena;

public sealed class ExtentAllocatorTests
{
    private const long Granule = Limits.GranuleBytes;

    [Fact]
    public void Rounds_up_to_granules_and_counts_what_was_asked()
    {
        var allocator = new ExtentAllocator(16 * Granule, 16);

        Assert.True(allocator.TryAllocate(Granule + 1, out var offset));

        Assert.Equal(0, offset);
        Assert.Equal(2 * Granule, allocator.ExtentBytes(offset));
        Assert.Equal(Granule + 1, allocator.Statistics.RequestedBytes);
        Assert.Equal(2 * Granule, allocator.Statistics.AllocatedBytes);
    }

    [Fact]
    public void Hands_out_every_granule_once_then_refuses()
    {
        var allocator = new ExtentAllocator(64 * Granule, 64);
        var offsets = Enumerable.Range(0, 64).Select(_ => Allocate(allocator, 1)).ToHashSet();

        Assert.Equal(64, offsets.Count);
        Assert.False(allocator.TryAllocate(1, out _));
        Assert.False(allocator.TryGetLargestHole(out _, out _));
    }

    [Fact]
    public void Refuses_more_extents_than_it_was_made_for()
    {
        var allocator = new ExtentAllocator(64 * Granule, 2);
        Allocate(allocator, 1);
        var second = Allocate(allocator, 1);

        Assert.False(allocator.TryAllocate(1, out _));
        Assert.False(allocator.TryReserveAt(10 * Granule, 1));
        allocator.Free(second);
        Assert.True(allocator.TryAllocate(1, out _));
    }

    [Fact]
    public void Prefers_a_warm_hole_to_the_cold_end()
    {
        var allocator = new ExtentAllocator(1024 * Granule, 64);
        var first = Allocate(allocator, 100 * Granule);
        Allocate(allocator, Granule);
        allocator.Free(first);

        Assert.Equal(first, Allocate(allocator, 3 * Granule));
        Assert.Equal(first + (3 * Granule), Allocate(allocator, 97 * Granule));
        Assert.Equal(101 * Granule, allocator.Statistics.WarmBytes);
        Assert.Equal(101 * Granule, Allocate(allocator, Granule));
    }

    [Fact]
    public void Joins_the_last_hole_with_the_cold_end_when_neither_is_enough()
    {
        var allocator = new ExtentAllocator(100 * Granule, 64);
        var first = Allocate(allocator, 60 * Granule);
        allocator.Free(first);

        Assert.Equal(first, Allocate(allocator, 90 * Granule));
        Assert.Equal(10 * Granule, allocator.Statistics.LargestHoleBytes);
        Assert.Equal(90 * Granule, Allocate(allocator, 10 * Granule));
        Assert.Equal(100 * Granule, allocator.Statistics.WarmBytes);
    }

    [Fact]
    public void Takes_the_tightest_hole_of_a_class()
    {
        var allocator = new ExtentAllocator(10_000 * Granule, 64);
        var roomy = Allocate(allocator, 1_030 * Granule);
        Allocate(allocator, 1);
        var tight = Allocate(allocator, 1_025 * Granule);
        Allocate(allocator, 1);
        allocator.Free(tight);
        allocator.Free(roomy);

        Assert.Equal(tight, Allocate(allocator, 1_025 * Granule));
    }

    [Fact]
    public void Freeing_what_is_not_allocated_throws()
    {
        var allocator = new ExtentAllocator(64 * Granule, 64);
        var offset = Allocate(allocator, 4 * Granule);

        Assert.Throws<InvalidOperationException>(() => allocator.Free(offset + Granule));
        Assert.Throws<InvalidOperationException>(() => allocator.Free(offset + 1));
        Assert.Throws<InvalidOperationException>(() => allocator.Free(-Granule));
        Assert.Throws<InvalidOperationException>(() => allocator.Free(64 * Granule));
        Assert.Throws<InvalidOperationException>(() => allocator.Free(4 * Granule));
        allocator.Free(offset);
        Assert.Throws<InvalidOperationException>(() => allocator.Free(offset));
    }

    [Fact]
    public void Becomes_one_hole_again_when_everything_is_freed()
    {
        var allocator = new ExtentAllocator(1_000 * Granule, 200);
        var offsets = Enumerable.Range(1, 40).Select(size => Allocate(allocator, size * Granule)).ToArray();
        new Random(7).Shuffle(offsets);
        Array.ForEach(offsets, allocator.Free);

        Assert.Equal(1, allocator.Statistics.Holes);
        Assert.Equal(0, Allocate(allocator, 1_000 * Granule));
    }

    [Fact]
    public void Adopts_extents_of_an_earlier_process_where_they_are()
    {
        var allocator = new ExtentAllocator(1_000 * Granule, 64);

        Assert.True(allocator.TryReserveAt(500 * Granule, 10 * Granule));
        Assert.True(allocator.TryReserveAt(100 * Granule, (10 * Granule) - 5));
        Assert.True(allocator.TryReserveAt(510 * Granule, Granule));

        Assert.Equal(10 * Granule, allocator.ExtentBytes(100 * Granule));
        Assert.Equal(511 * Granule, allocator.Statistics.WarmBytes);
        Assert.Equal((21 * Granule) - 5, allocator.Statistics.RequestedBytes);
        Assert.Equal(0, Allocate(allocator, 100 * Granule));
    }

    [Theory]
    [InlineData(95, 10)]
    [InlineData(105, 1)]
    [InlineData(100, 10)]
    [InlineData(109, 20)]
    [InlineData(90, 30)]
    [InlineData(995, 10)]
    [InlineData(-1, 1)]
    [InlineData(1_000, 1)]
    [InlineData(5, 0)]
    public void Refuses_to_adopt_what_is_not_a_free_range_of_the_arena(long startGranule, long granules)
    {
        var allocator = new ExtentAllocator(1_000 * Granule, 64);
        Assert.True(allocator.TryReserveAt(100 * Granule, 10 * Granule));

        Assert.False(allocator.TryReserveAt(startGranule * Granule, granules * Granule));
        Assert.False(allocator.TryReserveAt((startGranule * Granule) + 1, granules * Granule));
        Assert.Equal(10 * Granule, allocator.Statistics.AllocatedBytes);
    }

    [Fact]
    public void Refuses_a_range_whose_end_overflows()
    {
        var allocator = new ExtentAllocator(1_000 * Granule, 64);

        Assert.False(allocator.TryReserveAt(long.MaxValue - Granule + 1, Granule));
        Assert.False(allocator.TryReserveAt(Granule, long.MaxValue));
        Assert.False(allocator.TryAllocate(long.MaxValue, out _));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Adopts_a_hundred_thousand_extents_quickly_in_either_order(bool ascending)
    {
        const int Count = 100_000;
        var allocator = new ExtentAllocator(Count * 64L * Granule, Count);
        for (var i = 0; i < Count; i++)
        {
            var slot = ascending ? i : Count - 1 - i;
            Assert.True(allocator.TryReserveAt(slot * 64L * Granule, 63 * Granule));
        }

        Assert.Equal(Count, allocator.Statistics.Holes);
    }

    [Fact]
    public void Allocates_no_managed_memory_once_warm()
    {
        var allocator = new ExtentAllocator(1L << 30, 10_000);
        var offsets = new long[1_000];
        Churn(allocator, offsets);

        Assert.Equal(0, Allocations.Of(() => Churn(allocator, offsets)));
    }

    private static void Churn(ExtentAllocator allocator, long[] offsets)
    {
        for (var i = 0; i < offsets.Length; i++)
        {
            allocator.TryAllocate(((i % 50) + 1) * Granule, out offsets[i]);
        }

        foreach (var offset in offsets)
        {
            allocator.Free(offset);
        }
    }

    private static long Allocate(ExtentAllocator allocator, long bytes)
    {
        Assert.True(allocator.TryAllocate(bytes, out var offset), $"No room for {bytes} bytes.");
        return offset;
    }
}
