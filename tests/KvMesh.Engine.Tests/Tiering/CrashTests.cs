using KvMesh.Engine.Blocks;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Tiering;

/// <summary>What the next process finds of blocks that were gone for clients while somebody still read their old bytes.</summary>
public sealed class CrashTests : IDisposable
{
    private readonly TemporaryDirectory _arena = new();

    public void Dispose() => _arena.Dispose();

    [Fact]
    public void What_was_removed_while_it_was_read_does_not_come_back()
    {
        var configure = CrashImage.ArenaOf(_arena);
        using var engine = new TestEngine(configure);
        engine.Put("key"u8, "old"u8, BlockTraits.Opaque);
        engine.Put("other"u8, "kept"u8, BlockTraits.Opaque);
        Assert.True(engine.Engine.TryRead(engine.Tenant, "key"u8, ReadIntent.Use, out var read));
        using (read)
        {
            Assert.True(engine.Engine.Remove(engine.Tenant, "key"u8));

            using var image = new CrashImage(engine);
            using var next = image.Open(configure);
            Assert.Null(next.Get("key"u8));
            Assert.Equal("kept"u8.ToArray(), next.Get("other"u8));
            Assert.Equal("old"u8.ToArray(), read.Payload.ToArray());
        }

        engine.Engine.Remove(engine.Tenant, "other"u8);
        Assert.Equal(0, engine.Engine.Snapshot().Arenas[0].AllocatedBytes);
    }

    [Fact]
    public void An_old_value_that_is_still_read_does_not_come_back()
    {
        var configure = CrashImage.ArenaOf(_arena);
        using var engine = new TestEngine(configure);
        engine.Put("key"u8, "old"u8, BlockTraits.Opaque);
        Assert.True(engine.Engine.TryRead(engine.Tenant, "key"u8, ReadIntent.Use, out var read));
        using (read)
        {
            engine.Put("key"u8, "new"u8, BlockTraits.Opaque);
            using (var replaced = new CrashImage(engine))
            {
                using var next = replaced.Open(configure);
                Assert.Equal("new"u8.ToArray(), next.Get("key"u8));
            }

            Assert.True(engine.Engine.Remove(engine.Tenant, "key"u8));
            using var removed = new CrashImage(engine);
            using var last = removed.Open(configure);
            Assert.Null(last.Get("key"u8));
        }
    }

    [Fact]
    public void An_old_value_that_is_still_read_does_not_win_over_the_new_one_on_disk()
    {
        var configure = CrashImage.ArenaOf(_arena, diskBytes: 64 << 20);
        using var engine = new TestEngine(configure);
        engine.Put("key"u8, "old"u8, BlockTraits.Opaque);
        Assert.True(engine.Engine.TryRead(engine.Tenant, "key"u8, ReadIntent.Use, out var read));
        using (read)
        {
            engine.Put("key"u8, "new"u8, BlockTraits.Opaque);
            var next = 0;
            Eventually.HoldsBlocking(
                () =>
                {
                    // More than the arena holds, as often as it takes a slow disk to keep up.
                    engine.PutContent(BitConverter.GetBytes(++next), TestBytes.Payload(next, 200_000));
                    if (!engine.Engine.TryInspect(engine.Tenant, "key"u8, out var info))
                    {
                        engine.Put("key"u8, "new"u8, BlockTraits.Opaque);
                    }

                    return info.Tiers == BlockTiers.Disk;
                },
                "the new value on disk alone");

            using var image = new CrashImage(engine);
            using var again = image.Open(configure);
            Assert.Equal("new"u8.ToArray(), again.Get("key"u8));
        }
    }
}
