using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Blocks;

/// <summary>Chains whose order was guessed, as on doors whose clients do not name the parent: guesses contradict each other.</summary>
public sealed class ChainOrderTests
{
    [Fact]
    public void Blocks_that_name_each_other_as_parent_can_still_leave()
    {
        using var engine = new TestEngine(options => options.MaxResidentBlocks = 8);
        engine.PutContent("a"u8, "1"u8);
        engine.PutContent("b"u8, "1"u8, parent: "a"u8);
        engine.Engine.Remove(engine.Tenant, "a"u8);
        engine.PutContent("a"u8, "1"u8, parent: "b"u8);

        Assert.True(engine.Engine.Exists(engine.Tenant, "a"u8, engine.Leases, TimeSpan.Zero));
        for (var index = 0; index < 16; index++)
        {
            engine.PutContent(BitConverter.GetBytes(index), "1"u8);
        }

        Assert.Null(engine.Get("a"u8));
        Assert.Null(engine.Get("b"u8));
        Assert.Equal(0, engine.Engine.Snapshot().Tenants[0].Holes);
    }

    [Fact]
    public void A_parent_used_before_its_child_leaves_right_after_it()
    {
        using var engine = new TestEngine(options => options.MaxResidentBlocks = 4);
        engine.PutContent("parent"u8, "1"u8);
        engine.PutContent("other"u8, "1"u8);
        engine.PutContent("child"u8, "1"u8, parent: "parent"u8);
        engine.Get("other"u8);
        engine.PutContent("new"u8, "1"u8);

        engine.PutContent("newer"u8, "1"u8);
        engine.PutContent("newest"u8, "1"u8);

        Assert.Null(engine.Get("child"u8));
        Assert.Null(engine.Get("parent"u8));
        Assert.NotNull(engine.Get("other"u8));
    }
}
