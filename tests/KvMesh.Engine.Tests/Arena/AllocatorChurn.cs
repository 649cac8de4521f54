using KvMesh.Engine.Arena;
using KvMesh.Protocol;

namespace KvMesh.Engine.Tests.Arena;

/// <summary>What is freed when an allocation fails.</summary>
internal enum EvictionOrder
{
    /// <summary>The extent that was allocated first, as LRU does with blocks that are used once.</summary>
    Oldest,

    /// <summary>Any extent: the hardest case.</summary>
    Random,

    /// <summary>A neighbour of the largest hole, as the engine does when retention leaves it the choice.</summary>
    AroundLargestHole,
}

/// <summary>Keeps an arena of 128 times the largest size full, and watches how full that is.</summary>
internal sealed class AllocatorChurn
{
    private const int Failures = 200;
    private const int KeyBytes = 200;

    private readonly long[] _extentBytes;
    private readonly EvictionOrder _order;
    private readonly Random _random;
    private readonly long _arenaBytes;
    private readonly ExtentAllocator _allocator;
    private readonly List<long> _live = [];
    private readonly Dictionary<long, int> _placeOf = [];
    private readonly Queue<long> _byAge = [];

    public AllocatorChurn(long[] payloadBytes, EvictionOrder order, int seed)
    {
        _extentBytes = [.. payloadBytes.Select(WithTrailer)];
        _order = order;
        _random = new Random(seed);
        _arenaBytes = 128 * _extentBytes.Max();
        _allocator = new ExtentAllocator(_arenaBytes, 1 << 20);
    }

    /// <summary>Median utilisation at the failures that follow <paramref name="operations"/> allocations and frees.</summary>
    public double Run(int operations)
    {
        var utilisations = new List<double>();
        for (var done = 0; utilisations.Count < Failures;)
        {
            var bytes = _extentBytes[_random.Next(_extentBytes.Length)];
            var failed = false;
            long offset;
            while (!_allocator.TryAllocate(bytes, out offset))
            {
                if (!failed && done >= operations)
                {
                    utilisations.Add((double)_allocator.Statistics.RequestedBytes / _arenaBytes);
                }

                failed = true;
                Free(Victim());
                done++;
            }

            Keep(offset);
            done++;
        }

        utilisations.Sort();
        return utilisations[Failures / 2];
    }

    private static long WithTrailer(long payload)
    {
        var entries = (payload + Limits.ChecksumChunkBytes - 1) / Limits.ChecksumChunkBytes;
        return payload + (entries * sizeof(uint)) + KeyBytes;
    }

    private void Keep(long offset)
    {
        _placeOf[offset] = _live.Count;
        _live.Add(offset);
        if (_order == EvictionOrder.Oldest)
        {
            _byAge.Enqueue(offset);
        }
    }

    private void Free(long offset)
    {
        _allocator.Free(offset);
        Assert.True(_placeOf.Remove(offset, out var place));
        _live[place] = _live[^1];
        _placeOf[_live[place]] = place;
        _live.RemoveAt(_live.Count - 1);
        _placeOf.Remove(offset);
    }

    private long Victim()
    {
        switch (_order)
        {
            case EvictionOrder.Oldest:
                return _byAge.Dequeue();
            case EvictionOrder.Random:
                return _live[_random.Next(_live.Count)];
            default:
                if (!_allocator.TryGetLargestHole(out var hole, out _))
                {
                    return _live[_random.Next(_live.Count)];
                }

                var below = _allocator.TryGetPrevious(hole, out var previous);
                var above = _allocator.TryGetNext(hole, out var next);
                return below && (!above || _random.Next(2) == 0) ? previous : next;
        }
    }
}
