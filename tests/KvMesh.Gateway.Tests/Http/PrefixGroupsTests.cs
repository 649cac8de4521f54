using System.Text;
using KvMesh.Engine.Blocks;
using KvMesh.Gateway.Http.History;
using KvMesh.Protocol.Keys;
using KvMesh.TestKit;

namespace KvMesh.Gateway.Tests.Http;

public sealed class PrefixGroupsTests : IDisposable
{
    private readonly TestEngine _engine = new();

    [Fact]
    public void Keys_are_grouped_by_what_each_grammar_has_in_common()
    {
        Put(new BlockScope("llama", "1", Enumerable.Repeat((byte)1, 32).ToArray(), 3), 1);
        Put(new BlockScope("llama", "1", Enumerable.Repeat((byte)2, 32).ToArray(), 3), 2);
        Put(new BlockScope("llama", "1", Enumerable.Repeat((byte)1, 32).ToArray(), 4), 3);
        Put("m@1@0@deadbeef@bfloat16"u8);
        Put("m@1@0@feedbeef@bfloat16"u8);
        Put("queue:1"u8);
        Put("queue:2"u8);
        Put([0xFF, (byte)':', 1]);

        var groups = Walk(batch: 3);

        Assert.Equal(8, groups.Blocks);
        Assert.False(groups.IsFull);
        Assert.Equal(
            [
                "native llama 1 part 3: 2", "native llama 1 part 4: 1", "opaque m  m@1@0: 2", "opaque model 1 ff: 1", "opaque model 1 queue: 2",
            ],
            groups.Top(100).Select(group => $"{group.Kind} {group.Model} {group.Revision} {group.Prefix}: {group.Blocks}").Order(StringComparer.Ordinal));
    }

    [Fact]
    public void A_walk_in_small_steps_visits_every_block()
    {
        for (var number = 0; number < 1000; number++)
        {
            Put(Encoding.UTF8.GetBytes($"k:{number}"));
        }

        var groups = Walk(batch: 7, places: 64);

        Assert.Equal(1000, groups.Blocks);
        Assert.Equal(1000, Assert.Single(groups.Top(10)).Blocks);
    }

    [Fact]
    public void Groups_beyond_the_bound_are_said_to_be_missing()
    {
        var groups = new PrefixGroups();
        for (var number = 0; number < 20_000; number++)
        {
            groups.Add(_engine.Tenant, Encoding.UTF8.GetBytes($"k{number}:x"), default(BlockInfo) with { Model = "", Revision = "" });
        }

        Assert.True(groups.IsFull);
        Assert.Equal(20_000, groups.Blocks);
    }

    public void Dispose() => _engine.Dispose();

    private void Put(BlockScope scope, byte hash) => Put([.. scope.Bytes.Span, .. Enumerable.Repeat(hash, 32)]);

    private void Put(ReadOnlySpan<byte> key) => Assert.Equal(SealStatus.Sealed, _engine.PutContent(key, [1, 2, 3]));

    private PrefixGroups Walk(int batch, int places = 1024)
    {
        var groups = new PrefixGroups();
        long cursor = 0;
        do
        {
            cursor = _engine.Engine.Scan(_engine.Tenant, cursor, batch, places, (key, in info) => groups.Add(_engine.Tenant, key, info));
        }
        while (cursor != 0);

        return groups;
    }
}
