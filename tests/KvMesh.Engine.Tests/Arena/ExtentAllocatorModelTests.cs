using KvMesh.Engine.Arena;
using KvMesh.Protocol;

namespace KvMesh.Engine.Tests.Arena;

/// <summary>Random operations, compared with a sorted list after each one.</summary>
public sealed class ExtentAllocatorModelTests
{
    private const long Granule = Limits.GranuleBytes;

    [Theory]
    [InlineData(1, 64)]
    [InlineData(2, 300)]
    [InlineData(3, 1_000)]
    [InlineData(4, 5_000)]
    public void Agrees_with_a_sorted_list_after_every_operation(int seed, int arenaGranules)
    {
        var random = new Random(seed);
        var allocator = new ExtentAllocator(arenaGranules * Granule, 1_000);
        var model = new NaiveArena(arenaGranules * Granule);

        for (var step = 0; step < 4_000; step++)
        {
            switch (random.Next(5))
            {
                case 0 or 1:
                    Allocate(allocator, model, 1 + random.NextInt64(arenaGranules * Granule / 8));
                    break;
                case 2:
                    Reserve(allocator, model, random.Next(arenaGranules) * Granule, 1 + random.NextInt64(arenaGranules * Granule / 8));
                    break;
                case 3 when model.Count > 0:
                    var offset = model.OffsetAt(random.Next(model.Count));
                    model.AssertNeighbours(allocator, offset);
                    allocator.Free(offset);
                    model.Remove(offset);
                    break;
            }

            model.AssertEqual(allocator);
        }

        while (model.Count > 0)
        {
            var offset = model.OffsetAt(random.Next(model.Count));
            allocator.Free(offset);
            model.Remove(offset);
            model.AssertEqual(allocator);
        }

        Assert.Equal(1, allocator.Statistics.Holes);
    }

    private static void Allocate(ExtentAllocator allocator, NaiveArena model, long bytes)
    {
        if (allocator.TryAllocate(bytes, out var offset))
        {
            model.Add(offset, bytes);
            return;
        }

        // With the few holes of this test no class is longer than a search, so a refusal means that nothing fits.
        Assert.DoesNotContain(model.Holes(), hole => hole.Bytes >= bytes && hole.Bytes >= bytes + (hole.Bytes / 32));
    }

    private static void Reserve(ExtentAllocator allocator, NaiveArena model, long offset, long bytes)
    {
        var isFree = model.IsFree(offset, bytes);
        Assert.Equal(isFree, allocator.TryReserveAt(offset, bytes));
        if (isFree)
        {
            model.Add(offset, bytes);
        }
    }
}
