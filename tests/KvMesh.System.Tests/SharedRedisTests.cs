using KvMesh.TestKit;
using KvMesh.TestKit.Coordination;

namespace KvMesh.System.Tests;

/// <summary>Processes that share blocks through a real redis-server.</summary>
[Trait("Category", "System")]
public sealed class SharedRedisTests : IDisposable
{
    private const int Reused = 60;

    /// <summary>With the reused blocks, 14.6 of 16 MiB: full enough that a node offers blocks, and nothing is evicted yet.</summary>
    private const int Filler = 155;

    private readonly NodeFolders _first = new();
    private readonly NodeFolders _second = new();

    public void Dispose()
    {
        _first.Dispose();
        _second.Dispose();
    }

    [Fact]
    public async Task What_one_node_used_another_one_reads_from_Redis_and_both_go_on_without_it()
    {
        var reused = new Blocks(chain: 1, count: Reused);
        await using var redis = await RestartableRedis.StartAsync();
        await using var first = await StartAsync(_first, redis);
        await using var writer = await Blocks.ConnectAsync(first.Addresses.NativeEndpoint);
        Assert.Equal(Reused, await reused.PutAsync(writer));
        Assert.Equal(Reused, await reused.GetAsync(writer));
        Assert.Equal(Filler, await new Blocks(chain: 2, count: Filler).PutAsync(writer));

        await using var second = await StartAsync(_second, redis);
        await using var reader = await Blocks.ConnectAsync(second.Addresses.NativeEndpoint);
        await Eventually.Holds(
            async () => (await reader.MatchPrefixAsync(Blocks.Scope, reused.Joined, TimeSpan.Zero, CancellationToken.None)).Blocks == Reused,
            "the second node finds the whole chain in Redis");
        await Eventually.Holds(async () => await reused.GetAsync(reader) == Reused, "the second node has the whole chain");

        await redis.KillAsync();
        Assert.Equal(Reused, await reused.GetAsync(reader));
        Assert.Equal(0, await new Blocks(chain: 3, count: 4).GetAsync(reader));
        Assert.Equal(0, await second.StopAsync());
    }

    private static Task<NodeProcess> StartAsync(NodeFolders folders, RestartableRedis redis)
    {
        folders.Environment["KVMESH_Mesh__RedisBlocks__Address"] = redis.Address;
        return NodeProcess.StartAsync(folders, "--arena", "16MiB");
    }
}
