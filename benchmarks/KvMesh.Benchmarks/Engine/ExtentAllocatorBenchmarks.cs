using BenchmarkDotNet.Attributes;
using KvMesh.Engine.Arena;

namespace KvMesh.Benchmarks.Engine;

/// <summary>One allocation and one free: in an empty arena, and in a full one where every search competes with old holes.</summary>
[MemoryDiagnoser]
public class ExtentAllocatorBenchmarks
{
    private const long ArenaBytes = 10L << 30;

    private readonly List<long> _live = [];
    private ExtentAllocator _empty = null!;
    private ExtentAllocator _full = null!;
    private Random _random = null!;

    [GlobalSetup]
    public void Fill()
    {
        _random = new Random(1);
        _empty = new ExtentAllocator(ArenaBytes, 1 << 18);
        _full = new ExtentAllocator(ArenaBytes, 1 << 18);
        while (_full.TryAllocate(BlockBytes(), out var offset))
        {
            _live.Add(offset);
        }

        for (var i = 0; i < 100_000; i++)
        {
            FullArena();
        }
    }

    [Benchmark(Baseline = true)]
    public void EmptyArena()
    {
        _empty.TryAllocate(4096, out var offset);
        _empty.Free(offset);
    }

    [Benchmark]
    public void FullArena()
    {
        var place = _random.Next(_live.Count);
        _full.Free(_live[place]);
        if (_full.TryAllocate(BlockBytes(), out var offset))
        {
            _live[place] = offset;
            return;
        }

        _live[place] = _live[^1];
        _live.RemoveAt(_live.Count - 1);
    }

    private long BlockBytes() => (1L << 20) << _random.Next(3);
}
