using KvMesh.Client;
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
    public async Task What_was_removed_while_it_was_read_in_place_stays_removed_after_kill_9()
    {
        _folders.Environment["KVMESH_Engine__MaxResidenceLease"] = "00:30:00";
        var blocks = new Blocks(chain: 4, count: 4);
        await using (var node = await StartAsync())
        {
            await using var client = await Blocks.ConnectAsync(node.Addresses.UnixEndpoint, sharedMemory: true);
            Assert.Equal(4, await blocks.PutAsync(client));
            using var last = await client.LeaseAsync(Blocks.Scope, blocks.Hashes[3], CancellationToken.None);
            Assert.True(last!.IsInPlace);
            Assert.True(await client.RemoveAsync(Blocks.Scope, blocks.Hashes[3], CancellationToken.None));
            Assert.True(Blocks.Check(blocks.Hashes[3], last.Span).IsMatch);
            await node.Process.KillAsync();
        }

        await using var again = await StartAsync();
        await using var reader = await Blocks.ConnectAsync(again.Addresses.NativeEndpoint);
        Assert.Equal(3, await blocks.GetAsync(reader));
        Assert.Equal(GetStatus.Miss, (await reader.GetAsync(Blocks.Scope, blocks.Hashes[3], new byte[Blocks.PayloadBytes], CancellationToken.None)).Status);
    }

    [Fact]
    public async Task A_writer_that_goes_on_writing_after_kill_9_and_a_restart_changes_no_block()
    {
        var blocks = new Blocks(chain: 5, count: 20);
        var node = await StartAsync();
        await using var client = await Blocks.ConnectAsync(node.Addresses.UnixEndpoint, sharedMemory: true);
        using var rented = await client.RentAsync(Blocks.PayloadBytes, CancellationToken.None);
        Blocks.Payload(blocks.Hashes[0]).CopyTo(rented.Memory);
        Assert.Equal(PutStatus.Stored, await client.PutAsync(Blocks.Scope, blocks.Hashes[0], default, rented.Memory, CancellationToken.None));
        await node.Process.KillAsync();
        await node.DisposeAsync();

        await using var again = await StartAsync();
        await using var other = await Blocks.ConnectAsync(again.Addresses.NativeEndpoint);
        await blocks.PutAsync(other);

        // The memory is the writer's for as long as it rents it, and nobody's business any more.
        rented.Memory.Span.Fill(0xEE);
        Assert.Equal(20, await blocks.GetAsync(other));
        await Eventually.Holds(
            async () => await client.PutAsync(Blocks.Scope, TestBytes.Hash(6, 0), default, rented.Memory, CancellationToken.None) == PutStatus.Stored,
            "a put out of the same memory by a connection to the new process");
        rented.Memory.Span.Fill(0x11);
        var buffer = new byte[Blocks.PayloadBytes];
        Assert.True((await other.GetAsync(Blocks.Scope, TestBytes.Hash(6, 0), buffer, CancellationToken.None)).IsHit);
        Assert.False(buffer.AsSpan().ContainsAnyExcept((byte)0xEE), "the block has bytes that were written after its put");
        Assert.Equal(20, await blocks.GetAsync(other));
    }

    [Fact]
    public async Task What_is_read_in_place_over_a_restart_stays_as_it_was()
    {
        // Nothing that the new process has adopted is used again before leases of the old one can have run out.
        _folders.Environment["KVMESH_Engine__MaxResidenceLease"] = "00:30:00";
        var blocks = new Blocks(chain: 7, count: 64);
        var node = await StartAsync("--arena", "16MiB");
        await using var client = await Blocks.ConnectAsync(node.Addresses.UnixEndpoint, sharedMemory: true);
        Assert.Equal(64, await blocks.PutAsync(client));
        using var lease = await client.LeaseAsync(Blocks.Scope, blocks.Hashes[63], CancellationToken.None);
        Assert.True(lease!.IsInPlace);
        await node.Process.KillAsync();
        await node.DisposeAsync();

        await using var again = await StartAsync("--arena", "16MiB");
        await using var other = await Blocks.ConnectAsync(again.Addresses.NativeEndpoint);
        Assert.Equal(64, await blocks.GetAsync(other));
        Assert.True(await other.RemoveAsync(Blocks.Scope, blocks.Hashes[63], CancellationToken.None));
        await new Blocks(chain: 8, count: 512).PutAsync(other);
        Assert.True(Blocks.Check(blocks.Hashes[63], lease.Span).IsMatch, "the bytes of the reader were overwritten");
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
