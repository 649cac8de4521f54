using System.Text;
using KvMesh.TestKit;
using StackExchange.Redis;

namespace KvMesh.System.Tests;

/// <summary>What clients of the Redis door look up at one node comes to it from where it is, before anybody reads it.</summary>
[Trait("Category", "System")]
public sealed class RespDemandTests
{
    private const int Count = 6;

    /// <param name="halves">Suffixes of the keys of one chunk, the one that is looked up last: as LMCache stores it in one value, and in two.</param>
    [Theory]
    [InlineData("")]
    [InlineData("kv_bytes", "metadata")]
    public async Task A_prompt_that_is_looked_up_over_RESP_is_brought_to_the_node_that_is_asked(params string[] halves)
    {
        await using var mesh = await PlacementMesh.StartAsync();
        var a = await mesh.JoinAsync("a");
        var b = await mesh.JoinAsync("b");
        using (var atA = await ConnectAsync(a))
        {
            for (var chunk = 0; chunk < Count; chunk++)
            {
                foreach (var half in halves)
                {
                    Assert.True(await atA.GetDatabase().StringSetAsync(Key(chunk, half), Payload(chunk, half)));
                }
            }

            atA.Close(allowCommandsToComplete: false);
        }

        using var atB = await ConnectAsync(b);
        var lookups = atB.GetDatabase();
        var bytes = halves.Sum(half => Enumerable.Range(0, Count).Sum(chunk => (long)Payload(chunk, half).Length));
        var orders = await PlacementMesh.AskUntilAsync(
            a,
            () => LookUpAsync(lookups, halves[^1]),
            list => list.Sum(order => order.MovedBytes) == bytes && list.All(order => order.State is "done" or "failed"),
            $"the {bytes} bytes of the prompt brought to b, each once");

        Assert.All(orders, order => Assert.Equal(("b", "migrate"), (order.Target, order.Kind)));
        await a.Process.KillAsync();
        for (var chunk = 0; chunk < Count; chunk++)
        {
            foreach (var half in halves)
            {
                byte[]? value = await lookups.StringGetAsync(Key(chunk, half));
                Assert.True(Payload(chunk, half).AsSpan().SequenceEqual(value), $"chunk {chunk} {half} is not on b as it was written");
            }
        }

        atB.Close(allowCommandsToComplete: false);
    }

    private static Task<ConnectionMultiplexer> ConnectAsync(NodeProcess node) =>
        ConnectionMultiplexer.ConnectAsync($"127.0.0.1:{node.Addresses.RespPort},connectTimeout=60000,syncTimeout=60000");

    /// <summary>As LMCache does: chunk after chunk, until one is missing.</summary>
    private static async Task LookUpAsync(IDatabase database, string half)
    {
        for (var chunk = 0; await database.KeyExistsAsync(Key(chunk, half)); chunk++)
        {
        }
    }

    private static string Key(int chunk, string half) => $"model@1@0@{Convert.ToHexStringLower(TestBytes.Hash(21, chunk))}@half{half}";

    private static byte[] Payload(int chunk, string half) =>
        half == "metadata" ? TestBytes.Payload(chunk, 28) : TestBytes.Payload(Encoding.ASCII.GetByteCount(half) + chunk, Blocks.PayloadBytes);
}
