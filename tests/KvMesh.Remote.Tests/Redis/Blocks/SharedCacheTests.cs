using KvMesh.Engine;
using KvMesh.TestKit;

namespace KvMesh.Remote.Tests.Redis.Blocks;

/// <summary>Two nodes and a node that comes back empty share what one of them had to let go.</summary>
public sealed class SharedCacheTests : IAsyncLifetime
{
    private const int BlockBytes = 256 << 10;
    private const int Reused = 20;

    /// <summary>Together with the reused blocks: nearly full, so that offers begin and nothing is evicted yet.</summary>
    private const int Filler = 37;

    private TierServer _server = null!;

    public async Task InitializeAsync() => _server = await TierServer.StartAsync();

    public async Task DisposeAsync() => await _server.DisposeAsync();

    [Fact]
    public async Task What_one_node_lets_go_another_one_reads()
    {
        using (var first = Open())
        {
            for (var index = 0; index < Reused; index++)
            {
                first.Test.PutContent(TierNode.Key(1, index), Payload(index), index == 0 ? default : TierNode.Key(1, index - 1));
                Assert.Equal(Payload(index), first.Test.Get(TierNode.Key(1, index)));
            }

            // What comes after fills RAM, so that these are next to leave.
            var filler = 0;
            for (; filler < Filler; filler++)
            {
                first.Test.PutContent(TierNode.Key(2, filler), Payload(1000 + filler));
            }

            await Eventually.Holds(() => first.Metrics.Written >= Reused, "blocks go to Redis");
            await Eventually.Holds(
                () =>
                {
                    first.Test.PutContent(TierNode.Key(2, filler), Payload(1000 + filler));
                    filler++;
                    return !first.Engine.TryInspect(first.Tenant, TierNode.Key(1, 0), out _);
                },
                "the chain leaves RAM");
            Assert.Equal(Reused, first.Match(1, Reused));
            Assert.Equal(Payload(0), first.Read(TierNode.Key(1, 0)));
        }

        using (var second = Open())
        {
            Assert.Equal(Reused, second.Match(1, Reused));
            for (var index = 0; index < Reused; index++)
            {
                Assert.Equal(Payload(index), second.Read(TierNode.Key(1, index)));
            }
        }

        using var restarted = Open();
        Assert.Equal(Payload(Reused - 1), restarted.Read(TierNode.Key(1, Reused - 1)));
        Assert.Equal(1, restarted.Engine.Snapshot().FarTiers.Single().Hits);
    }

    private static byte[] Payload(int seed) => TestBytes.Payload(seed, BlockBytes);

    /// <summary>A node with 16 MiB of RAM and no disk, which offers what is next to leave.</summary>
    private TierNode Open() => new(_server.Address, configureEngine: static (EngineOptions options) =>
    {
        options.ArenaBytes = 16 << 20;
        options.FarTiers.OffersLeaving = true;
    });
}
