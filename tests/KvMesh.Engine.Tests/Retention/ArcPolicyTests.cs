using KvMesh.Engine.Retention;

namespace KvMesh.Engine.Tests.Retention;

public sealed class ArcPolicyTests : RetentionPolicyContract
{
    [Fact]
    public void Blocks_used_twice_survive_a_scan()
    {
        var cache = new ChainCache(Create(), capacity: 100);
        for (var id = 0ul; id < 100; id++)
        {
            cache.Serve([id % 50]);
        }

        for (var id = 1000ul; id < 2000; id++)
        {
            cache.Serve([id]);
        }

        Assert.All(Chain(0, 50), id => Assert.Contains(id, cache.Blocks.Keys));
    }

    [Fact]
    public void The_share_of_blocks_used_once_grows_where_they_are_asked_for_again()
    {
        // 80 blocks are used twice and never again; then 60 others go round and round, which need more than the 20 places that are left to blocks used once.
        var cache = new ChainCache(Create(), capacity: 100);
        for (var id = 0ul; id < 160; id++)
        {
            cache.Serve([id % 80]);
        }

        var hits = 0;
        for (var request = 0ul; request < 600; request++)
        {
            hits += cache.Serve([1000 + (request % 60)]);
        }

        Assert.InRange(hits, 300, 600);
    }

    private protected override IRetentionPolicy<ChainBlock> Create() => RetentionPolicies.Create<ChainBlock>(RetentionKind.Arc);
}
