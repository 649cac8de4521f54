using System.Diagnostics.CodeAnalysis;
using BenchmarkDotNet.Attributes;

namespace KvMesh.Benchmarks.Engine;

/// <summary>Prefix match of 1,000 blocks, the lease included.</summary>
[MemoryDiagnoser]
[SuppressMessage("Design", "CA1001", Justification = "The benchmark runner ends the store by GlobalCleanup.")]
public class BlockIndexBenchmarks
{
    private const int Chains = 100;

    private MatchStore _store = null!;
    private int _next;

    /// <summary>Blocks in the index.</summary>
    [Params(200_000, 10_000_000)]
    public int Blocks { get; set; }

    [GlobalSetup]
    public void Fill() => _store = new MatchStore(Blocks, Chains);

    [GlobalCleanup]
    public void End() => _store.Dispose();

    [Benchmark]
    public int WholeChain() => _store.Match(Next(), MatchStore.ChainBlocks);

    [Benchmark]
    public int NothingThere() => _store.Match(-1, MatchStore.ChainBlocks);

    private int Next() => _next = (_next + 37) % Chains;
}
