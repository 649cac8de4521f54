namespace KvMesh.Engine.Tests.Arena;

/// <summary>
/// Utilisation under churn of the block sizes that serving engines store: a full arena, where each allocation that fails frees
/// others until it fits. Utilisation is requested bytes ÷ arena at such a failure, before anything is freed for it.
/// </summary>
public sealed class ExtentAllocatorSoakTests
{
    /// <summary>KV bytes per token and rank of common models and parallelisms.</summary>
    private static readonly int[] BytesPerToken =
    [
        131_072, 65_536, 40_960, 81_920, 327_680, 20_480, 57_344, 28_672, 262_144, 147_456, 70_272, 35_136, 40_016,
    ];

    private static readonly int[] TokensPerBlock = [16, 32, 64, 128, 256];

    [Theory]
    [InlineData(20_000)]
    public void Every_size_at_once_leaves_the_arena_full(int operations) => ChurnEverySize(operations);

    [Theory]
    [InlineData(1_000_000)]
    [Trait("Category", "Soak")]
    public void Every_size_at_once_leaves_the_arena_full_for_long(int operations) => ChurnEverySize(operations);

    [Theory]
    [InlineData(5_000)]
    public void Sizes_of_one_model_leave_the_arena_full(int operations) => ChurnEachModel(operations);

    [Theory]
    [InlineData(1_000_000)]
    [Trait("Category", "Soak")]
    public void Sizes_of_one_model_leave_the_arena_full_for_long(int operations) => ChurnEachModel(operations);

    private static void ChurnEverySize(int operations)
    {
        long[] sizes = [.. from bytes in BytesPerToken from tokens in TokensPerBlock select (long)bytes * tokens];
        Assert.InRange(new AllocatorChurn(sizes, EvictionOrder.Oldest, seed: 1).Run(operations), 0.95, 1);
        Assert.InRange(new AllocatorChurn(sizes, EvictionOrder.AroundLargestHole, seed: 2).Run(operations), 0.85, 1);
        Assert.InRange(new AllocatorChurn(sizes, EvictionOrder.Random, seed: 3).Run(operations), 0.85, 1);
    }

    private static void ChurnEachModel(int operations)
    {
        foreach (var bytesPerToken in BytesPerToken)
        {
            long[] sizes = [.. TokensPerBlock.Select(tokens => (long)bytesPerToken * tokens)];
            Assert.InRange(new AllocatorChurn(sizes, EvictionOrder.Oldest, seed: 1).Run(operations), 0.95, 1);
            Assert.InRange(new AllocatorChurn(sizes, EvictionOrder.AroundLargestHole, seed: 2).Run(operations), 0.95, 1);
            foreach (var size in sizes)
            {
                Assert.InRange(new AllocatorChurn([size], EvictionOrder.Random, seed: 3).Run(operations / 10), 0.95, 1);
            }
        }
    }
}
