using KvMesh.Engine.Retention;

namespace KvMesh.Engine.Tests.Retention;

public sealed class S3FifoPolicyTests : RetentionPolicyContract
{
    [Fact]
    public void Blocks_used_in_the_small_queue_survive_a_scan()
    {
        var cache = new ChainCache(Create(), capacity: 100);
        for (var round = 0; round < 3; round++)
        {
            for (var id = 0ul; id < 20; id++)
            {
                cache.Serve([id]);
            }
        }

        for (var id = 1000ul; id < 2000; id++)
        {
            cache.Serve([id]);
        }

        Assert.All(Chain(0, 20), id => Assert.Contains(id, cache.Blocks.Keys));
    }

    [Fact]
    public void A_block_that_comes_back_soon_goes_to_the_main_queue()
    {
        var cache = new ChainCache(Create(), capacity: 100);
        for (var id = 0ul; id < 100; id++)
        {
            cache.Serve([id]);
            cache.Serve([id]);
            cache.Serve([id]);
        }

        cache.Serve([1000]);
        for (var id = 2000ul; !cache.Blocks.ContainsKey(id - 1) || cache.Blocks.ContainsKey(1000); id++)
        {
            cache.Serve([id]);
        }

        cache.Serve([1000]);
        for (var id = 3000ul; id < 3050; id++)
        {
            cache.Serve([id]);
        }

        Assert.Contains(1000ul, cache.Blocks.Keys);
    }

    private protected override IRetentionPolicy<ChainBlock> Create() => RetentionPolicies.Create<ChainBlock>(RetentionKind.S3Fifo);
}
