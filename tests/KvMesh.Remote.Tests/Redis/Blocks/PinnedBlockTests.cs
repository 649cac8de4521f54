using KvMesh.Engine.Blocks;
using KvMesh.TestKit;

namespace KvMesh.Remote.Tests.Redis.Blocks;

/// <summary>What pins keep comes into a real redis-server though nobody has used it again.</summary>
public sealed class PinnedBlockTests : IAsyncLifetime
{
    private const int BlockBytes = 1 << 20;

    /// <summary>Of 16 MiB: full enough that a node offers blocks, and nothing is evicted.</summary>
    private const int Filler = 13;

    private static readonly TimeSpan Long = TimeSpan.FromHours(1);

    private TierServer _server = null!;

    public async Task InitializeAsync() => _server = await TierServer.StartAsync();

    public async Task DisposeAsync() => await _server.DisposeAsync();

    [Fact]
    public async Task What_is_pinned_is_written_when_room_gets_short_and_what_is_not_pinned_is_not()
    {
        using var node = Node();
        Put(node, 1);
        Put(node, 2);
        Assert.Equal(HoldStatus.Held, node.Engine.TryHold(node.Tenant, TierNode.Key(2), Long));
        for (var chain = 100; chain < 100 + Filler; chain++)
        {
            Put(node, chain);
        }

        await Eventually.Holds(() => Task.FromResult(node.Metrics is { Written: 1, Skipped: > 0 }), () => $"one block written and others not; {node.Metrics.Written} and {node.Metrics.Skipped} are");
        AssertHasOnlyTheSecond();

        // What was offered and not taken gets another chance once it is pinned.
        Assert.Equal(HoldStatus.Held, node.Engine.TryHold(node.Tenant, TierNode.Key(1), Long));
        await Eventually.Holds(() => Task.FromResult(node.Metrics.Written == 2), () => $"the block pinned later written; {node.Metrics.Written} are");
    }

    [Fact]
    public void A_node_that_leaves_writes_what_is_pinned_now_and_not_what_was_once()
    {
        using var node = Node();
        Put(node, 1);
        Put(node, 2);
        Assert.Equal(HoldStatus.Held, node.Engine.TryHold(node.Tenant, TierNode.Key(1), Long));
        Assert.Equal(HoldStatus.Held, node.Engine.TryHold(node.Tenant, TierNode.Key(2), Long));
        node.Engine.Release(node.Tenant, TierNode.Key(1));

        node.Engine.OfferLeaving(Eventually.Patience);

        Assert.Equal(1, node.Metrics.Written);
        AssertHasOnlyTheSecond();
    }

    private TierNode Node() => new(_server.Address, configureEngine: options =>
    {
        options.ArenaBytes = 16 << 20;
        options.FarTiers.OffersLeaving = true;
    });

    private static void Put(TierNode node, int chain) =>
        Assert.Equal(SealStatus.Sealed, node.Test.PutContent(TierNode.Key(chain), TestBytes.Payload(chain, BlockBytes)));

    private void AssertHasOnlyTheSecond()
    {
        using var reader = new TierNode(_server.Address);
        Assert.Null(reader.Read(TierNode.Key(1)));
        Assert.Equal(TestBytes.Payload(2, BlockBytes), reader.Read(TierNode.Key(2)));
    }
}
