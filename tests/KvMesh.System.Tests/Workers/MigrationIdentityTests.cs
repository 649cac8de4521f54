using KvMesh.TestKit;

namespace KvMesh.System.Tests.Workers;

/// <summary>Tokens are the same when the node that blocks were written to has handed them to another one and is gone.</summary>
[Trait("Category", "System")]
public sealed class MigrationIdentityTests(SeededCompletions requests) : IClassFixture<SeededCompletions>
{
    [Fact]
    public async Task With_blocks_that_moved_to_another_node()
    {
        await using var mesh = await PlacementMesh.StartAsync();
        var (a, b) = (await mesh.JoinAsync("a"), await mesh.JoinAsync("b"));
        await using (var writer = await WorkerProcess.StartAtAsync(a, requests.Model))
        {
            await requests.CompareAsync(writer, Enumerable.Range(0, requests.Count), atOnce: 1);
            var computed = await writer.ReadAsync("kvmesh_worker_computed_tokens_total");
            Assert.True(computed > 0);

            // A request ends with the token before its last one: of each the tokens behind its last full block are computed and not published.
            await Eventually.Holds(
                async () => (await writer.ReadAsync("kvmesh_worker_published_blocks_total") + requests.Count) * SeededCompletions.BlockTokens >= computed, "the blocks published");
            Assert.Equal(0, await writer.StopAsync());
        }

        using var admin = MeshOfThree.Admin(b);
        await Eventually.Holds(async () => await DrainAsync(admin) == "drained", "the node drained");
        await a.Process.KillAsync();

        // A busy machine may have it compute what it measured to come slowly.
        await using var reader = await WorkerProcess.StartAtAsync(b, requests.Model, "--fetch-all");
        var cached = await requests.CompareAsync(reader, Enumerable.Range(0, requests.Count), atOnce: 4);

        Assert.True(await reader.ReadAsync("kvmesh_worker_pulled_blocks_total") > 0);
        Assert.All(cached, tokens => Assert.True(tokens >= SeededCompletions.BlockTokens, $"{tokens} cached tokens"));
    }

    /// <summary>Null: nobody who plans is reached, as on a busy machine.</summary>
    private static async Task<string?> DrainAsync(Client.Admin.AdminClient admin)
    {
        try
        {
            return (await admin.DrainNodeAsync("a", default))?.State;
        }
        catch (Client.Admin.AdminRefusedException)
        {
            return null;
        }
    }
}
