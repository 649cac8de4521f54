using System.Text;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Retention;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Retention;

/// <summary>Chains in an engine that nobody comes back for.</summary>
public sealed class EndedChainTests
{
    [Theory]
    [InlineData(RetentionKind.Lru)]
    [InlineData(RetentionKind.Hazard)]
    public void Blocks_of_its_own_leave_first_and_those_that_others_follow_stay(RetentionKind kind)
    {
        using var engine = Open(kind);
        Assert.Equal(3, engine.Engine.Yield(engine.Tenant, "ended 2"u8, most: 100));

        List<Block> next = [];
        engine.Tenant.Host.CollectNextToLeave(next, 3, 3, _ => true);
        Assert.Equal(["ended 2", "ended 1", "ended 0"], next.Select(block => Encoding.ASCII.GetString(block.Key)));
    }

    [Fact]
    public void One_that_is_used_again_is_as_good_as_any()
    {
        using var engine = Open(RetentionKind.Lru);
        engine.Engine.Yield(engine.Tenant, "ended 2"u8, most: 100);
        Assert.NotNull(engine.Get("ended 2"u8));

        List<Block> next = [];
        engine.Tenant.Host.CollectNextToLeave(next, 8, 8, _ => true);
        Assert.Equal("ended 2", Encoding.ASCII.GetString(next[^1].Key));
    }

    [Fact]
    public void No_more_than_was_asked_for_and_nothing_that_is_followed()
    {
        using var engine = Open(RetentionKind.Lru);

        Assert.Equal(2, engine.Engine.Yield(engine.Tenant, "ended 2"u8, most: 2));
        Assert.Equal(0, engine.Engine.Yield(engine.Tenant, "shared 1"u8, most: 100));
        Assert.Equal(0, engine.Engine.Yield(engine.Tenant, "nothing"u8, most: 100));
    }

    /// <summary>An engine with room for 60 blocks, and two chains of three that go on from the same two.</summary>
    private static TestEngine Open(RetentionKind kind)
    {
        var engine = new TestEngine(options =>
        {
            options.ArenaBytes = 4 << 20;
            options.Retention = kind;
        });
        foreach (var (key, parent) in ((string, string)[])[
            ("shared 0", ""), ("shared 1", "shared 0"),
            ("other 0", "shared 1"), ("other 1", "other 0"), ("other 2", "other 1"),
            ("ended 0", "shared 1"), ("ended 1", "ended 0"), ("ended 2", "ended 1"),
        ])
        {
            engine.PutContent(Encoding.ASCII.GetBytes(key), TestBytes.Payload(1, 60_000), Encoding.ASCII.GetBytes(parent));
        }

        return engine;
    }
}
