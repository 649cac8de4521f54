using System.Globalization;
using KvMesh.Client;
using KvMesh.TestKit;

namespace KvMesh.System.Tests;

/// <summary>Nodes as processes that meet in a real Redis and are one cache: what one of them holds, every other one answers.</summary>
[Trait("Category", "System")]
public sealed class MeshReadTests
{
    private const int Count = 24;

    [Fact]
    public async Task What_is_put_on_one_node_is_read_on_another_also_when_a_holder_is_stopped()
    {
        using NodeFolders first = new(), second = new(), third = new();
        await using var redis = await RedisServer.StartAsync();
        await using var a = await StartAsync(first, redis, "a");
        await using var b = await StartAsync(second, redis, "b");
        await using var c = await StartAsync(third, redis, "c");
        using var http = new HttpClient { Timeout = Eventually.Patience };
        var blocks = new Blocks(chain: 1, Count);
        await using (var client = await Blocks.ConnectAsync(a.Addresses.NativeEndpoint))
        {
            Assert.Equal(Count, await blocks.PutAsync(client));
        }

        // Half of them get a second holder; every byte is checked by the client and by the blocks themselves.
        await using var atB = await Blocks.ConnectAsync(b.Addresses.NativeEndpoint);
        for (var index = 0; index < Count / 2; index++)
        {
            await EventuallyReadsAsync(atB, blocks, index, "b");
        }

        await Eventually.Holds(async () => await ReadAsync(http, c, "kvmesh_map_locations") >= Count + (Count / 2), "all holders in the map of c");
        await a.Process.SignalAsync("STOP");
        try
        {
            await using var atC = await Blocks.ConnectAsync(c.Addresses.NativeEndpoint);
            for (var index = 0; index < Count / 2; index++)
            {
                await EventuallyReadsAsync(atC, blocks, index, "c, while a is stopped");
            }

            // What only the stopped node has is a miss, soon, and never an error.
            Assert.Equal(GetStatus.Miss, await GetAsync(atC, blocks, Count - 1));
        }
        finally
        {
            await a.Process.SignalAsync("CONT");
        }

        await using var again = await Blocks.ConnectAsync(c.Addresses.NativeEndpoint);
        await EventuallyReadsAsync(again, blocks, Count - 1, "c, after a went on");
    }

    private static Task<NodeProcess> StartAsync(NodeFolders folders, RedisServer redis, string id)
    {
        folders.JoinMesh(redis.Port, id);
        folders.WaitForBlocks("4s");
        return NodeProcess.StartAsync(folders, "--arena", "64MiB");
    }

    private static Task EventuallyReadsAsync(KvMeshClient client, Blocks blocks, int index, string where) => Eventually.Holds(
        async () => await GetAsync(client, blocks, index) == GetStatus.Hit, $"block {index} read on {where}");

    private static async Task<GetStatus> GetAsync(KvMeshClient client, Blocks blocks, int index)
    {
        var buffer = new byte[Blocks.PayloadBytes];
        var result = await client.GetAsync(Blocks.Scope, blocks.Hashes[index], buffer, CancellationToken.None);
        Assert.True(!result.IsHit || Blocks.Check(blocks.Hashes[index], buffer).IsMatch, $"wrong bytes of block {index}");
        return result.Status;
    }

    private static async Task<long> ReadAsync(HttpClient http, NodeProcess node, string metric)
    {
        var text = await http.GetStringAsync(new Uri(node.Addresses.Http, "metrics"));
        var line = text.Split('\n').FirstOrDefault(each => each.StartsWith(metric + " ", StringComparison.Ordinal) || each.StartsWith(metric + "{", StringComparison.Ordinal));
        return line is null ? 0 : long.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture);
    }
}
