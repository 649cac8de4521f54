using KvMesh.Engine.Blocks;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Leases;

public sealed class HoldTests
{
    private const int BlockBytes = 1 << 20;

    private static readonly TimeSpan Long = TimeSpan.FromHours(1);

    [Fact]
    public void A_held_block_stays_while_others_come_and_go()
    {
        using var engine = new TestEngine();
        Assert.Equal(SealStatus.Sealed, engine.PutContent(Key(0), TestBytes.Payload(0, BlockBytes)));
        Assert.Equal(HoldStatus.Held, engine.Engine.TryHold(engine.Tenant, Key(0), Long));

        for (var index = 1; index < 64; index++)
        {
            Assert.Equal(SealStatus.Sealed, engine.PutContent(Key(index), TestBytes.Payload(index, BlockBytes)));
        }

        Assert.Equal(TestBytes.Payload(0, BlockBytes), engine.Get(Key(0)));
        Assert.Null(engine.Get(Key(1)));
        Assert.Equal(1, engine.Engine.Snapshot().HeldBlocks);
    }

    [Fact]
    public void A_block_that_is_held_no_longer_leaves_as_any_other()
    {
        var clock = new SimulatedClock();
        using var engine = new TestEngine(time: clock);
        engine.PutContent(Key(0), TestBytes.Payload(0, BlockBytes));
        engine.PutContent(Key(1), TestBytes.Payload(1, BlockBytes));
        engine.Engine.TryHold(engine.Tenant, Key(0), TimeSpan.FromSeconds(10));
        engine.Engine.TryHold(engine.Tenant, Key(1), Long);
        engine.Engine.Release(engine.Tenant, Key(1));
        clock.Advance(TimeSpan.FromSeconds(11));

        for (var index = 2; index < 64; index++)
        {
            Assert.Equal(SealStatus.Sealed, engine.PutContent(Key(index), TestBytes.Payload(index, BlockBytes)));
        }

        Assert.Null(engine.Get(Key(0)));
        Assert.Null(engine.Get(Key(1)));
        Eventually.HoldsBlocking(() => engine.Engine.Snapshot() is { HeldBlocks: 0, HeldBytes: 0 }, "the ledger without the holds that ran out");
    }

    [Fact]
    public void What_is_leased_stays_when_its_hold_ends()
    {
        using var engine = new TestEngine(time: new SimulatedClock());
        engine.PutContent(Key(0), TestBytes.Payload(0, BlockBytes));
        engine.Engine.TryHold(engine.Tenant, Key(0), Long);
        Assert.True(engine.Engine.Exists(engine.Tenant, Key(0), engine.Leases, TimeSpan.FromMinutes(1)));
        engine.Engine.Release(engine.Tenant, Key(0));
        Assert.Equal(0, engine.Engine.Snapshot().HeldBlocks);

        for (var index = 1; index < 64; index++)
        {
            engine.PutContent(Key(index), TestBytes.Payload(index, BlockBytes));
        }

        Assert.Equal(TestBytes.Payload(0, BlockBytes), engine.Get(Key(0)));
    }

    [Fact]
    public void No_more_than_its_share_of_the_node_is_held()
    {
        using var engine = new TestEngine(options => options.MaxHeldShare = 0.25);
        var held = 0;
        for (var index = 0; index < 20; index++)
        {
            engine.PutContent(Key(index), TestBytes.Payload(index, BlockBytes));
            held += engine.Engine.TryHold(engine.Tenant, Key(index), Long) == HoldStatus.Held ? 1 : 0;
        }

        Assert.InRange(held, 6, 8);
        Assert.Equal(HoldStatus.Full, engine.Engine.TryHold(engine.Tenant, Key(19), Long));
        Assert.Equal(HoldStatus.Held, engine.Engine.TryHold(engine.Tenant, Key(0), Long));
    }

    [Fact]
    public void What_is_not_here_or_was_removed_is_not_held()
    {
        using var engine = new TestEngine();
        engine.PutContent(Key(0), TestBytes.Payload(0, BlockBytes));
        engine.Engine.TryHold(engine.Tenant, Key(0), Long);

        Assert.Equal(HoldStatus.Missing, engine.Engine.TryHold(engine.Tenant, Key(9), Long));
        Assert.True(engine.Engine.Remove(engine.Tenant, Key(0)));
        Assert.Equal(HoldStatus.Missing, engine.Engine.TryHold(engine.Tenant, Key(0), Long));
        Eventually.HoldsBlocking(() => engine.Engine.Snapshot().HeldBytes == 0, "the ledger without the block that was removed");
    }

    [Fact]
    public void The_chain_of_a_block_is_listed_in_order()
    {
        using var engine = new TestEngine();
        for (var index = 0; index < 6; index++)
        {
            engine.PutContent(Key(index), TestBytes.Payload(index, 100), index == 0 ? default : Key(index - 1));
        }

        var all = new List<ReadOnlyMemory<byte>>();
        Assert.Equal(600, engine.Engine.ListChain(engine.Tenant, Key(5), 100, all));
        var last = new List<ReadOnlyMemory<byte>>();
        Assert.Equal(200, engine.Engine.ListChain(engine.Tenant, Key(5), 2, last));
        var none = new List<ReadOnlyMemory<byte>>();
        engine.Engine.ListChain(engine.Tenant, Key(77), 2, none);

        Assert.Equal(Enumerable.Range(0, 6).Select(Key), all.Select(key => key.ToArray()));
        Assert.Equal([Key(4), Key(5)], last.Select(key => key.ToArray()));
        Assert.Empty(none);
    }

    private static byte[] Key(int index) => TestBytes.Hash(3, index);
}
