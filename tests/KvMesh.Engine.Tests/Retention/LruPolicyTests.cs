using KvMesh.Engine.Retention;
using KvMesh.Simulation.Traces;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Retention;

public sealed class LruPolicyTests : RetentionPolicyContract
{
    [Theory]
    [InlineData(50)]
    [InlineData(500)]
    public void Hits_as_its_plain_model(int capacity)
    {
        var cache = new ChainCache(Create(), capacity);
        var model = new LruModel(capacity);
        foreach (var request in ConversationGenerator.Generate(new ConversationOptions { Requests = 2000 }))
        {
            cache.Serve(request.BlockIds.Span[..request.FullBlocks]);
            model.Serve(request);
        }

        Assert.InRange(model.HitBlocks, 1, model.Blocks);
        Assert.Equal(model.HitBlocks, cache.Hits);
    }

    private protected override IRetentionPolicy<ChainBlock> Create() => RetentionPolicies.Create<ChainBlock>(RetentionKind.Lru);
}
