using KvMesh.Engine.Arena;
using KvMesh.Protocol.Integrity;

namespace KvMesh.LoadTest.Verbs;

/// <summary>The block sizes that serving engines store: KV bytes per token and rank of common models, times tokens per block.</summary>
internal static class ChurnTable
{
    private const int KeyBytes = 200;

    private static readonly int[] BytesPerToken =
    [
        131_072, 65_536, 40_960, 81_920, 327_680, 20_480, 57_344, 28_672, 262_144, 147_456, 70_272, 35_136, 40_016,
    ];

    private static readonly int[] TokensPerBlock = [16, 32, 64, 128, 256];

    public static ArenaChurn EverySize(ChurnOrder order, int seed) => new([.. BytesPerToken.SelectMany(SizesOf)], order, seed);

    public static double WorstModel(ChurnOrder order, int operations, int seed) =>
        BytesPerToken.Min(model => new ArenaChurn(SizesOf(model), order, seed).Run(operations));

    public static double WorstSize(ChurnOrder order, int operations, int seed) =>
        BytesPerToken.SelectMany(SizesOf).Distinct().Min(size => new ArenaChurn([size], order, seed).Run(operations / 10));

    /// <summary>Extents: payload, checksum table and key.</summary>
    private static long[] SizesOf(int bytesPerToken) =>
    [
        .. TokensPerBlock.Select(tokens => (long)bytesPerToken * tokens)
            .Select(payload => payload + (ChecksumTable.EntryCount(payload) * sizeof(uint)) + KeyBytes),
    ];
}

/// <summary>Keeps an arena of 128 times the largest size full, and watches how full that is.</summary>
internal sealed class ArenaChurn(long[] extentBytes, ChurnOrder order, int seed)
{
    private const int FailuresCounted = 200;

    private readonly long _arenaBytes = 128 * extentBytes.Max();
    private readonly ExtentAllocator _allocator = new(128 * extentBytes.Max(), 1 << 20);
    private readonly Random _random = new(seed);
    private readonly List<long> _live = [];
    private readonly Dictionary<long, int> _placeOf = [];
    private readonly Queue<long> _byAge = [];

    /// <summary>Median over the failures that follow <paramref name="operations"/> allocations and frees: one failure alone is chance.</summary>
    public double Run(int operations)
    {
        var utilisations = new List<double>();
        for (var done = 0; utilisations.Count < FailuresCounted; done++)
        {
            var bytes = extentBytes[_random.Next(extentBytes.Length)];
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

            _placeOf[offset] = _live.Count;
            _live.Add(offset);
            if (order == ChurnOrder.Oldest)
            {
                _byAge.Enqueue(offset);
            }
        }

        utilisations.Sort();
        return utilisations[FailuresCounted / 2];
    }

    private void Free(long offset)
    {
        _allocator.Free(offset);
        var place = _placeOf[offset];
        _live[place] = _live[^1];
        _placeOf[_live[place]] = place;
        _live.RemoveAt(_live.Count - 1);
        _placeOf.Remove(offset);
    }

    private long Victim()
    {
        if (order == ChurnOrder.Oldest)
        {
            return _byAge.Dequeue();
        }

        if (order == ChurnOrder.Random || !_allocator.TryGetLargestHole(out var hole, out _))
        {
            return _live[_random.Next(_live.Count)];
        }

        var below = _allocator.TryGetPrevious(hole, out var previous);
        var above = _allocator.TryGetNext(hole, out var next);
        return below && (!above || _random.Next(2) == 0) ? previous : next;
    }
}
