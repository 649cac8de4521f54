using KvMesh.TestKit;
using KvMesh.TestKit.FarTiers;

namespace KvMesh.Remote.Tests.Redis.Blocks;

/// <summary>Copies that have lost something in a real redis-server, read by other nodes than wrote them.</summary>
public sealed class LossyRedisTests : IAsyncLifetime
{
    private static readonly byte[] Key = TierNode.Key(1);
    private static readonly byte[] Exact = TestBytes.Payload(1, 200_000);
    private static readonly byte[] Rounded = RoundingCoder.Lossy(Exact);

    private TierServer _server = null!;

    public async Task InitializeAsync() => _server = await TierServer.StartAsync();

    public async Task DisposeAsync() => await _server.DisposeAsync();

    [Fact]
    public void A_lossy_block_is_offered_and_read_as_what_it_is()
    {
        using var origin = OpenLossy();
        using var reader = new TierNode(_server.Address);
        Assert.True(origin.Offer(Key));

        Assert.Null(ReadLossless(reader));
        Assert.Equal(Rounded, reader.Read(Key));
        Assert.True(reader.Engine.TryInspect(reader.Tenant, Key, out var info));
        Assert.Equal(RoundingCoder.Loss, info.Loss);
        Assert.Null(ReadLossless(reader));
    }

    [Fact]
    public void An_exact_block_that_may_lose_nothing_takes_the_place_of_a_lossy_one()
    {
        using var origin = OpenLossy();
        using var reader = new TierNode(_server.Address);
        using var owner = new TierNode(_server.Address);
        Assert.True(origin.Offer(Key));
        Assert.Equal(Rounded, reader.Read(Key));

        owner.Test.PutContent(Key, Exact);
        Assert.Equal(1, owner.Engine.KeepLossless(owner.Tenant, Key, most: 1));
        Assert.True(owner.Offer(Key));

        Assert.Equal(Exact, ReadLossless(reader));
        Assert.True(reader.Engine.TryInspect(reader.Tenant, Key, out var info));
        Assert.True(info is { Loss: null, IsLosslessOnly: true });
    }

    /// <summary>A node that has the block as a tier that keeps it lossy gave it.</summary>
    private TierNode OpenLossy()
    {
        var node = new TierNode(_server.Address);
        var below = new MemoryTier();
        below.StoreLossy(Key, Rounded, RoundingCoder.Loss);
        node.Engine.AttachTier(below);
        Assert.Equal(Rounded, node.Read(Key));
        return node;
    }

    private static byte[]? ReadLossless(TierNode node)
    {
        if (!node.Engine.TryReadAnywhere(node.Tenant, Key, out var read, losslessOnly: true))
        {
            return null;
        }

        using (read)
        {
            return read.Verify() ? read.Payload.ToArray() : null;
        }
    }
}
