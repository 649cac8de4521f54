using KvMesh.TestKit;

namespace KvMesh.System.Tests;

[Trait("Category", "System")]
public sealed class RestartTests : IDisposable
{
    private readonly NodeFolders _folders = new();

    public void Dispose() => _folders.Dispose();

    [Fact]
    public async Task Every_sealed_block_is_served_again_after_kill_9()
    {
        var blocks = new Blocks(chain: 1, count: 300);
        await using (var node = await StartAsync())
        {
            await using var client = await Blocks.ConnectAsync(node.Addresses.NativeEndpoint);
            Assert.Equal(300, await blocks.PutAsync(client));
            await node.Process.KillAsync();
        }

        await using var again = await StartAsync();
        await using var reader = await Blocks.ConnectAsync(again.Addresses.NativeEndpoint);
        var match = await reader.MatchPrefixAsync(Blocks.Scope, blocks.Joined, TimeSpan.FromSeconds(5), CancellationToken.None);
        Assert.Equal(300, match.Blocks);
        Assert.Equal(300, await blocks.GetAsync(reader));
    }

    [Fact]
    public async Task Every_sealed_block_is_served_again_after_a_clean_stop()
    {
        var blocks = new Blocks(chain: 2, count: 100);
        await using (var node = await StartAsync())
        {
            await using var client = await Blocks.ConnectAsync(node.Addresses.NativeEndpoint);
            Assert.Equal(100, await blocks.PutAsync(client));
            Assert.Equal(0, await node.StopAsync());
        }

        await using var again = await StartAsync();
        await using var reader = await Blocks.ConnectAsync(again.Addresses.NativeEndpoint);
        Assert.Equal(100, await blocks.GetAsync(reader));
    }

    [Fact]
    public async Task Blocks_on_disk_survive_kill_9_and_a_lost_arena()
    {
        // Sixteen times the arena: most blocks are on disk, and after the arena's loss only those can be.
        var blocks = new Blocks(chain: 3, count: 2048);
        var before = 0;
        await using (var node = await StartAsync("--arena", "32MiB", "--disk", "1GiB"))
        {
            await using var client = await Blocks.ConnectAsync(node.Addresses.NativeEndpoint);
            await Eventually.Holds(
                async () =>
                {
                    // What a slow disk did not take is put once more.
                    await blocks.PutAsync(client);
                    return (before = await blocks.GetAsync(client)) > 512;
                },
                "more than the 512 blocks of RAM on the disk");
            await node.Process.KillAsync();
        }

        foreach (var arena in Directory.EnumerateFiles(_folders.Environment["KVMESH_Engine__ArenaDirectory"]))
        {
            File.Delete(arena);
        }

        await using var again = await StartAsync("--arena", "32MiB", "--disk", "1GiB");
        await using var reader = await Blocks.ConnectAsync(again.Addresses.NativeEndpoint);
        var after = await blocks.GetAsync(reader);
        Assert.True(after >= before - 512, $"{before} blocks before the kill, {after} after it; at most the 512 of RAM may be lost");
    }

    private Task<NodeProcess> StartAsync(params string[] arguments) =>
        NodeProcess.StartAsync(_folders, arguments.Length > 0 ? arguments : ["--arena", "128MiB"]);
}
