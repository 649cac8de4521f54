using System.Globalization;
using KvMesh.TestKit;

namespace KvMesh.System.Tests;

/// <summary>The block map of three nodes as processes that meet in a real Redis.</summary>
[Trait("Category", "System")]
public sealed class MapTests
{
    private const int Count = 60;

    [Fact]
    public async Task Every_node_knows_what_the_others_hold_and_forgets_who_was_killed()
    {
        using NodeFolders first = new(), second = new(), third = new();
        await using var redis = await RedisServer.StartAsync();
        await using var a = await StartAsync(first, redis, "a");
        await using var b = await StartAsync(second, redis, "b");
        await using var c = await StartAsync(third, redis, "c");
        using var http = new HttpClient { Timeout = Eventually.Patience };
        var (blocks, others) = (new Blocks(chain: 1, Count), new Blocks(chain: 2, Count));
        await using (var client = await Blocks.ConnectAsync(a.Addresses.NativeEndpoint))
        {
            Assert.Equal(Count, await blocks.PutAsync(client));
        }

        await using (var client = await Blocks.ConnectAsync(b.Addresses.NativeEndpoint))
        {
            Assert.Equal(Count, await others.PutAsync(client));
        }

        foreach (var node in new[] { a, b, c })
        {
            await HoldsAsync(http, node, 2 * Count, "the blocks of both nodes");
        }

        await using (var client = await Blocks.ConnectAsync(b.Addresses.NativeEndpoint))
        {
            Assert.True(await client.RemoveAsync(Blocks.Scope, others.Hashes[Count - 1], CancellationToken.None));
        }

        await HoldsAsync(http, c, (2 * Count) - 1, "all but the block that was removed");
        await a.Process.KillAsync();
        await HoldsAsync(http, b, Count - 1, "its own blocks only");
        await HoldsAsync(http, c, Count - 1, "the blocks of the living");
    }

    private static Task<NodeProcess> StartAsync(NodeFolders folders, RedisServer redis, string id)
    {
        folders.JoinMesh(redis.Port, id);
        return NodeProcess.StartAsync(folders, "--arena", "64MiB");
    }

    private static async Task HoldsAsync(HttpClient http, NodeProcess node, long locations, string what)
    {
        long? seen = null;
        await Eventually.Holds(
            async () =>
            {
                seen = await ReadAsync(http, node);
                return seen == locations;
            },
            () => $"a map with {what}: {locations} locations, not {seen}");
    }

    private static async Task<long?> ReadAsync(HttpClient http, NodeProcess node)
    {
        var text = await http.GetStringAsync(new Uri(node.Addresses.Http, "metrics"));
        var line = text.Split('\n').FirstOrDefault(each => each.StartsWith("kvmesh_map_locations", StringComparison.Ordinal));
        return line is null ? null : long.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture);
    }
}
