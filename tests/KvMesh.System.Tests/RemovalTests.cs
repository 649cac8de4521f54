using KvMesh.Client;
using KvMesh.Protocol.Admin;
using KvMesh.TestKit;

namespace KvMesh.System.Tests;

/// <summary>What is removed on one of three nodes as processes is gone on all of them, also on those that were away.</summary>
[Trait("Category", "System")]
public sealed class RemovalTests
{
    private const int Count = 6;

    [Fact]
    public async Task A_removed_block_is_gone_on_every_node_also_on_one_that_was_killed_before()
    {
        using NodeFolders first = new(), second = new(), third = new();
        await using var redis = await RedisServer.StartAsync();
        await using var a = await StartAsync(first, redis, "a");
        await using var b = await StartAsync(second, redis, "b");
        var c = await StartAsync(third, redis, "c");
        var blocks = new Blocks(chain: 1, Count);
        await using var atA = await Blocks.ConnectAsync(a.Addresses.NativeEndpoint);
        await using var atB = await Blocks.ConnectAsync(b.Addresses.NativeEndpoint);
        try
        {
            Assert.Equal(Count, await blocks.PutAsync(atA));
            await using (var atC = await Blocks.ConnectAsync(c.Addresses.NativeEndpoint))
            {
                for (var index = 0; index < Count; index++)
                {
                    await EventuallyReadsAsync(atB, blocks, index, "b");
                    await EventuallyReadsAsync(atC, blocks, index, "c");
                }
            }

            await c.Process.KillAsync();
            Assert.True(await atA.RemoveAsync(Blocks.Scope, blocks.Hashes[Count - 1], CancellationToken.None));

            // Here at once, although others may still have it; there soon.
            Assert.Equal(GetStatus.Miss, await GetAsync(atA, blocks, Count - 1));
            await EventuallyMissesAsync(atB, blocks, Count - 1, "b");
        }
        finally
        {
            await c.DisposeAsync();
        }

        await using var again = await StartAsync(third, redis, "c");
        await using var atAgain = await Blocks.ConnectAsync(again.Addresses.NativeEndpoint);

        // At once, unless Redis was silent to a node that had just begun, which serves its own clients then what it has, and says so.
        if (await GetAsync(atAgain, blocks, Count - 1) != GetStatus.Miss)
        {
            await Eventually.Holds(() => again.Process.Error.Contains("silent", StringComparison.Ordinal), "the word of a node that does not know what was removed while it was away");
        }

        await EventuallyMissesAsync(atAgain, blocks, Count - 1, "c, after its restart");
        await EventuallyReadsAsync(atAgain, blocks, 0, "c, after its restart");

        // Nobody gives it back to anybody, and what is put again is there again.
        Assert.Equal(GetStatus.Miss, await GetAsync(atA, blocks, Count - 1));
        Assert.Equal(GetStatus.Miss, await GetAsync(atB, blocks, Count - 1));
        Assert.Equal(1, await blocks.PutAsync(atA));
        await EventuallyReadsAsync(atAgain, blocks, Count - 1, "c, after it was put again");
    }

    [Fact]
    public async Task A_purge_reaches_every_node_and_names_one_that_is_stopped()
    {
        using NodeFolders first = new(), second = new(), third = new();
        await using var redis = await RedisServer.StartAsync();
        await using var a = await StartAsync(first, redis, "a");
        await using var b = await StartAsync(second, redis, "b");
        await using var c = await StartAsync(third, redis, "c");
        var blocks = new Blocks(chain: 1, Count);
        await using var atA = await Blocks.ConnectAsync(a.Addresses.NativeEndpoint);
        await using var atB = await Blocks.ConnectAsync(b.Addresses.NativeEndpoint);
        using var admin = PatientAdmin.Of(a.Addresses);
        Assert.Equal(Count, await blocks.PutAsync(atA));
        await using (var atC = await Blocks.ConnectAsync(c.Addresses.NativeEndpoint))
        {
            for (var index = 0; index < Count; index++)
            {
                await EventuallyReadsAsync(atB, blocks, index, "b");
                await EventuallyReadsAsync(atC, blocks, index, "c");
            }
        }

        await Eventually.Holds(async () => (await admin.GetNodesAsync(CancellationToken.None)).Nodes.Count == 3, "three nodes in the view of a");
        await c.Process.SignalAsync("STOP");
        try
        {
            // Told as soon as Redis answers, which a busy machine may keep from it for a while.
            PurgeResult result = null!;
            var removed = 0L;
            await Eventually.Holds(
                async () =>
                {
                    result = await admin.PurgeAsync(new PurgeRequest("default", null, null) { WaitSeconds = 5 }, CancellationToken.None);
                    removed += result.RemovedBlocks;
                    return result.IsTold;
                },
                "a purge that the others were told");
            Assert.Equal((Count, 3), (removed, result.Nodes));
            Assert.Contains("c", result.Behind);
            for (var index = 0; index < Count; index++)
            {
                Assert.Equal(GetStatus.Miss, await GetAsync(atA, blocks, index));
                await EventuallyMissesAsync(atB, blocks, index, "b");
            }
        }
        finally
        {
            await c.Process.SignalAsync("CONT");
        }

        await using var afterwards = await Blocks.ConnectAsync(c.Addresses.NativeEndpoint);
        for (var index = 0; index < Count; index++)
        {
            await EventuallyMissesAsync(afterwards, blocks, index, "c, after it went on");
            Assert.Equal(GetStatus.Miss, await GetAsync(atA, blocks, index));
            Assert.Equal(GetStatus.Miss, await GetAsync(atB, blocks, index));
        }

        // A purge that everybody hears, and what is put afterwards stays.
        await Eventually.Holds(
            async () => await admin.PurgeAsync(new PurgeRequest("default", null, null) { WaitSeconds = 60 }, CancellationToken.None) is { Nodes: 3, Behind.Count: 0 },
            "a purge that all three nodes have done");
        Assert.Equal(Count, await blocks.PutAsync(atB));
        await EventuallyReadsAsync(atA, blocks, Count - 1, "a, after the purge");
        await EventuallyReadsAsync(afterwards, blocks, Count - 1, "c, after the purge");
    }

    private static Task<NodeProcess> StartAsync(NodeFolders folders, RedisServer redis, string id)
    {
        folders.JoinMesh(redis.Port, id);
        folders.WaitForBlocks("4s");
        folders.Environment["KVMESH_Mesh__FailureTime"] = "60s";
        return NodeProcess.StartAsync(folders, "--arena", "64MiB");
    }

    private static Task EventuallyReadsAsync(KvMeshClient client, Blocks blocks, int index, string where) => Eventually.Holds(
        async () => await GetAsync(client, blocks, index) == GetStatus.Hit, $"block {index} read on {where}");

    private static Task EventuallyMissesAsync(KvMeshClient client, Blocks blocks, int index, string where) => Eventually.Holds(
        async () => await GetAsync(client, blocks, index) == GetStatus.Miss, $"block {index} gone on {where}");

    private static async Task<GetStatus> GetAsync(KvMeshClient client, Blocks blocks, int index)
    {
        var buffer = new byte[Blocks.PayloadBytes];
        var result = await client.GetAsync(Blocks.Scope, blocks.Hashes[index], buffer, CancellationToken.None);
        Assert.True(!result.IsHit || Blocks.Check(blocks.Hashes[index], buffer).IsMatch, $"wrong bytes of block {index}");
        return result.Status;
    }
}
