using System.Buffers;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using KvMesh.Client;
using KvMesh.TestKit;

namespace KvMesh.System.Tests;

/// <summary>Clients that die, stall or disagree. The node stays right for everyone else.</summary>
[Trait("Category", "System")]
public sealed class FaultTests : IAsyncLifetime, IDisposable
{
    /// <summary>For programs that move hundreds of megabytes.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(3);

    private readonly NodeFolders _folders = new();
    private NodeProcess _node = null!;

    public FaultTests()
    {
        _folders.Environment["KVMESH_Engine__MaxResidenceLease"] = "00:00:02";
    }

    public async Task InitializeAsync() => _node = await NodeProcess.StartAsync(_folders, "--arena", "64MiB");

    public async Task DisposeAsync() => await _node.DisposeAsync();

    public void Dispose() => _folders.Dispose();

    [Theory]
    [InlineData("native")]
    [InlineData("shm")]
    [InlineData("resp")]
    public async Task A_writer_killed_in_the_middle_of_its_puts_leaves_nothing_half_written(string via)
    {
        var endpoint = via switch
        {
            "native" => _node.Addresses.NativeEndpoint,
            "shm" => _node.Addresses.UnixEndpoint,
            _ => _node.Addresses.Resp,
        };
        using var files = new TemporaryDirectory();
        var trace = WriteTrace(files);
        string[] replay = ["replay", trace, "--via", via, "--endpoint", endpoint, "--block-bytes", "1MiB", "--json"];
        await using (var writer = NodeProcess.Run(replay))
        {
            await WaitForBlocksAsync(10);
            await writer.KillAsync();
        }

        // The second run reads back all that the first one sealed, and checks every byte.
        var again = await NodeProcess.RunToEndAsync(Limit, replay);

        Assert.True(again.ExitCode == 0, $"exit code {again.ExitCode}: {again.Output} {again.Error}");
        Assert.False(_node.Process.HasExited);
    }

    [Fact]
    public async Task A_value_cut_off_in_the_middle_never_exists()
    {
        using (var socket = new Socket(SocketType.Stream, ProtocolType.Tcp))
        {
            await socket.ConnectAsync(IPAddress.Loopback, _node.Addresses.RespPort);
            await socket.SendAsync(Encoding.ASCII.GetBytes("*3\r\n$3\r\nSET\r\n$4\r\nhalf\r\n$1048576\r\n"));
            await socket.SendAsync(new byte[500_000]);
        }

        await using var client = await Blocks.ConnectAsync(_node.Addresses.NativeEndpoint);
        Assert.False(await client.ExistsKeyAsync("half"u8.ToArray(), CancellationToken.None));
        Assert.Equal(PutStatus.Stored, await client.PutKeyAsync("half"u8.ToArray(), new byte[100], CancellationToken.None));
    }

    [Fact]
    public async Task A_reader_stopped_past_its_lease_never_sees_wrong_bytes()
    {
        string[] bench =
        [
            "bench", "--via", "shm", "--endpoint", _node.Addresses.UnixEndpoint, "--blocks", "16", "--block-bytes", "1MiB", "--seconds", "8", "--json",
        ];
        await using var reader = NodeProcess.Run(bench);
        await WaitForBlocksAsync(32);
        await reader.SignalAsync("STOP");
        try
        {
            // Longer than the lease of two seconds, while four times the arena passes through it.
            await using var client = await Blocks.ConnectAsync(_node.Addresses.NativeEndpoint);
            var started = TimeProvider.System.GetTimestamp();
            for (var chain = 10; TimeProvider.System.GetElapsedTime(started) < TimeSpan.FromSeconds(4) || chain < 14; chain++)
            {
                await new Blocks(chain, 1000).PutAsync(client);
            }
        }
        finally
        {
            await reader.SignalAsync("CONT");
        }

        // Its blocks are gone, so its gets count as errors: exit code 1. Wrong bytes would be 5.
        var exitCode = await reader.WaitForExitAsync(Limit);
        Assert.True(exitCode is 0 or 1, $"exit code {exitCode}: {reader.Describe()}");
        Assert.Contains("\"mismatchedBytes\":0", string.Concat(reader.Output), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Of_two_writers_of_one_content_key_the_first_sealed_one_wins_for_good()
    {
        await using var first = await Blocks.ConnectAsync(_node.Addresses.NativeEndpoint);
        await using var second = await Blocks.ConnectAsync(_node.Addresses.UnixEndpoint, sharedMemory: true);
        var blocks = new Blocks(chain: 77, count: 100);
        var reader = new byte[Blocks.PayloadBytes];
        foreach (var hash in blocks.Hashes)
        {
            var puts = await Task.WhenAll(
                Task.Run(() => first.PutAsync(Blocks.Scope, hash, default, Blocks.Payload(hash, version: 1), CancellationToken.None).AsTask()),
                Task.Run(() => second.PutAsync(Blocks.Scope, hash, default, Blocks.Payload(hash, version: 2), CancellationToken.None).AsTask()));

            Assert.Equal([PutStatus.Stored, PutStatus.AlreadyPresent], puts.Order());
            var winner = puts[0] == PutStatus.Stored ? 1u : 2u;
            Assert.Equal(GetStatus.Hit, (await first.GetAsync(Blocks.Scope, hash, reader, CancellationToken.None)).Status);
            Assert.True(Blocks.Check(hash, reader, winner).IsMatch, "the block is not the one whose writer was told Stored");
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_put_that_was_given_up_stores_nothing_that_its_writer_wrote_later(bool blocking)
    {
        var hash = Blocks.Hash(chain: 80, index: 0);
        var options = new ClientOptions
        {
            Endpoint = _node.Addresses.UnixEndpoint,
            AllowSharedMemory = true,
            Connections = 1,
            BlockingCalls = blocking,
            RequestTimeout = TimeSpan.FromSeconds(3),
            ConnectTimeout = Eventually.Patience,
        };
        await using var writer = await KvMeshClient.ConnectAsync(options, CancellationToken.None);

        // On a busy machine the client may lose its patience, and then gives ordinary memory.
        IMemoryOwner<byte> rented = null!;
        await Eventually.Holds(
            async () => !MemoryMarshal.TryGetArray<byte>((rented = await writer.RentAsync(Blocks.PayloadBytes, CancellationToken.None)).Memory, out _), "memory that is shared with the node");
        using var owner = rented;
        Blocks.Payload(hash, version: 1).CopyTo(rented.Memory);

        await StopAsync(_node.Process);
        try
        {
            Assert.Equal(PutStatus.Failed, await Eventually.Within(() => writer.PutAsync(Blocks.Scope, hash, default, rented.Memory, CancellationToken.None).AsTask().Result, "the end of the put"));

            // The put has returned, so the memory is the writer's: the next block goes there.
            Blocks.Payload(Blocks.Hash(80, 1), version: 2).CopyTo(rented.Memory);
        }
        finally
        {
            await _node.Process.SignalAsync("CONT");
        }

        // The commit is still in the node's buffer; when the connection is gone it has been dealt with.
        using var admin = PatientAdmin.Of(_node.Addresses);
        await Eventually.Holds(
            async () => (await admin.GetConnectionsAsync(CancellationToken.None)).All(connection => connection.Protocol != "native"), "the end of the writer's connections");

        await using var reader = await Blocks.ConnectAsync(_node.Addresses.NativeEndpoint);
        var payload = new byte[Blocks.PayloadBytes];
        var result = await reader.GetAsync(Blocks.Scope, hash, payload, CancellationToken.None);
        Assert.True(result.Status == GetStatus.Miss || Blocks.Check(hash, payload, version: 1).IsMatch, $"{result.Status}: the block has bytes that were written after its put had failed");
    }

    /// <summary>Stops a process, and waits until none of its threads runs.</summary>
    private static async Task StopAsync(ChildProcess process)
    {
        await process.SignalAsync("STOP");
        await Eventually.Holds(
            () => Directory.EnumerateDirectories($"/proc/{process.Id}/task").All(task => File.ReadAllText(Path.Combine(task, "stat")).Contains(") T ", StringComparison.Ordinal)),
            "the stop of every thread of the node");
    }

    private static string WriteTrace(TemporaryDirectory files)
    {
        var path = Path.Combine(files.Path, "trace.jsonl");
        File.WriteAllLines(path, Enumerable.Range(0, 400).Select(i =>
            $$"""{"timestamp": 0, "input_length": 1536, "output_length": 1, "hash_ids": [{{i % 40}}, {{1000 + (i % 40)}}, {{2000 + (i % 40)}}]}"""));
        return path;
    }

    private async Task WaitForBlocksAsync(int count)
    {
        using var admin = PatientAdmin.Of(_node.Addresses);
        await Eventually.Holds(async () => (await admin.GetTiersAsync(CancellationToken.None))[0].Blocks >= count, $"{count} blocks of the other process");
    }
}
