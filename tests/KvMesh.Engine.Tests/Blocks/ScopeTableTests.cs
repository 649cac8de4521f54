using System.Text;
using KvMesh.Engine.Blocks;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Blocks;

/// <summary>Models and revisions are names that clients invent: they are bounded, and forgetting one never brings back what was purged.</summary>
public sealed class ScopeTableTests : IDisposable
{
    private readonly TestEngine _node = new();

    public ScopeTableTests()
    {
        // The sweep forgets scopes without blocks, also one whose first block is just being written: the next is half a minute behind this one.
        _node.Engine.Purge(_node.Tenant, "nothing", null);
        Assert.True(_node.Engine.AwaitPurge(Eventually.Patience), "the sweep came to no end");
    }

    public void Dispose() => _node.Dispose();

    [Fact]
    public void Refuses_models_over_the_limit_and_goes_on_serving_the_others()
    {
        for (var index = 0; index < ScopeTable.MaxScopes; index++)
        {
            Assert.Equal(SealStatus.Sealed, Put($"model {index}", index));
        }

        Assert.Equal(SealStatus.Full, Put("one more", ScopeTable.MaxScopes));
        Assert.Equal(SealStatus.Sealed, Put("model 0", ScopeTable.MaxScopes + 1));
        Assert.Equal(SealStatus.Sealed, _node.Put("opaque"u8, new byte[10], BlockTraits.Opaque));

        Assert.True(_node.Engine.Remove(_node.Tenant, Key(1)));
        _node.Tenant.Scopes.ForgetEmpty();
        Assert.Equal(SealStatus.Sealed, Put("one more", ScopeTable.MaxScopes));
        Assert.Equal(ScopeTable.MaxScopes + 2, _node.Tenant.Scopes.Blocks);
    }

    [Fact]
    public void What_was_purged_stays_purged_when_its_model_is_forgotten()
    {
        Assert.Equal(SealStatus.Sealed, Put("kept", -1));
        for (var index = 0; index < ScopeTable.MaxScopes / 2; index++)
        {
            Assert.Equal(SealStatus.Sealed, Put($"model {index}", index, "old"));
        }

        Assert.Equal(ScopeTable.MaxScopes / 2, _node.Engine.Purge(_node.Tenant, null, "old"));

        // The sweep that a purge wakes may have been first: one of the two has forgotten what was purged.
        _node.Tenant.Scopes.ForgetEmpty();
        Assert.False(_node.Tenant.Scopes.ForgetEmpty(), "there are few left");
        Assert.Equal(1u, _node.Tenant.Scopes.EpochOf("model 7", "old"));
        Assert.Equal(SealStatus.Sealed, Put("model 7", 7, "old"));

        // The floor is stored with the next purge at the latest.
        _node.Engine.Purge(_node.Tenant, "kept", "another revision");
        _node.Restart();
        Assert.Equal(1u, _node.Tenant.Scopes.EpochOf("model 9", "old"));
        Assert.NotNull(_node.Get(Key(7)));
        Assert.NotNull(_node.Get(Key(-1)));
        Assert.Null(_node.Get(Key(9)));
    }

    private static byte[] Key(int index) => Encoding.UTF8.GetBytes($"key {index}");

    private SealStatus Put(string model, int index, string revision = "1") =>
        _node.Put(Key(index), TestBytes.Payload(index + 1, 64), BlockTraits.Content(model, revision, default));
}
