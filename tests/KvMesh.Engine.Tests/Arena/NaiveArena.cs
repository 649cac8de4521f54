using KvMesh.Engine.Arena;
using KvMesh.Protocol;

namespace KvMesh.Engine.Tests.Arena;

/// <summary>The same arena kept as a sorted list: slow, and simple enough to be right. Compared with the allocator after each step.</summary>
internal sealed class NaiveArena(long capacityBytes)
{
    private readonly SortedList<long, (long Length, long Requested)> _extents = [];

    public int Count => _extents.Count;

    public long OffsetAt(int index) => _extents.GetKeyAtIndex(index);

    public bool IsFree(long offset, long bytes)
    {
        var length = Whole(bytes);
        return offset + length <= capacityBytes
            && _extents.All(extent => offset + length <= extent.Key || extent.Key + extent.Value.Length <= offset);
    }

    public void Add(long offset, long bytes)
    {
        Assert.True(IsFree(offset, bytes), $"The extent of {bytes} bytes at {offset} overlaps another one.");
        _extents.Add(offset, (Whole(bytes), bytes));
    }

    public void Remove(long offset) => Assert.True(_extents.Remove(offset));

    public List<(long Offset, long Bytes)> Holes()
    {
        var holes = new List<(long, long)>();
        var end = 0L;
        foreach (var (offset, (length, _)) in _extents)
        {
            if (offset > end)
            {
                holes.Add((end, offset - end));
            }

            end = offset + length;
        }

        if (end < capacityBytes)
        {
            holes.Add((end, capacityBytes - end));
        }

        return holes;
    }

    public void AssertEqual(ExtentAllocator allocator)
    {
        var holes = Holes();
        var largest = holes.Count == 0 ? 0 : holes.Max(hole => hole.Bytes);
        var statistics = allocator.Statistics;

        Assert.Equal(_extents.Count, statistics.Extents);
        Assert.Equal(_extents.Values.Sum(extent => extent.Length), statistics.AllocatedBytes);
        Assert.Equal(_extents.Values.Sum(extent => extent.Requested), statistics.RequestedBytes);
        Assert.Equal(holes.Count, statistics.Holes);
        Assert.InRange(statistics.LargestHoleBytes, largest - (largest / 32), largest);
        Assert.Equal(holes.Count > 0, allocator.TryGetLargestHole(out var offset, out var bytes));
        if (holes.Count > 0)
        {
            Assert.Contains((offset, bytes), holes);
            Assert.Equal(bytes, statistics.LargestHoleBytes);
            AssertNeighbours(allocator, offset);
        }
    }

    public void AssertNeighbours(ExtentAllocator allocator, long offset)
    {
        var below = _extents.Keys.Where(key => key < offset).DefaultIfEmpty(-1).Max();
        var above = _extents.Keys.Where(key => key > offset).DefaultIfEmpty(-1).Min();

        Assert.Equal(below >= 0, allocator.TryGetPrevious(offset, out var previous));
        Assert.Equal(below, previous);
        Assert.Equal(above >= 0, allocator.TryGetNext(offset, out var next));
        Assert.Equal(above, next);
    }

    private static long Whole(long bytes) => (bytes + Limits.GranuleBytes - 1) / Limits.GranuleBytes * Limits.GranuleBytes;
}
