using System.Runtime.CompilerServices;
using KvMesh.TestKit;

namespace KvMesh.Client.Tests;

/// <summary>A node that is lost, slow or foreign is a miss; a cancelled call leaves the caller's memory alone.</summary>
public sealed class LossTests
{
    private const int MiB = 1 << 20;

    public static TheoryData<ClientTransport, bool> All => Transports.All;

    [Theory]
    [MemberData(nameof(All))]
    public async Task Misses_while_the_node_is_away_and_hits_when_it_is_back(ClientTransport transport, bool blocking)
    {
        await using var node = new NodeFixture();
        var client = await node.ConnectAsync(transport, blocking);
        var payload = TestBytes.Payload(1, MiB);
        var hash = TestBytes.Hash(1, 0);
        await client.PutAsync(NodeFixture.Scope, hash, default, payload, default);

        await node.CutOffAsync();
        var destination = new byte[MiB];
        Assert.Equal(GetStatus.Failed, (await client.GetAsync(NodeFixture.Scope, hash, destination, default)).Status);
        Assert.Equal(PutStatus.Failed, await client.PutAsync(NodeFixture.Scope, TestBytes.Hash(1, 1), default, payload, default));
        Assert.Equal(default, await client.MatchPrefixAsync(NodeFixture.Scope, hash, TimeSpan.Zero, default));
        Assert.Equal(0, await client.ExistsAsync(NodeFixture.Scope, hash, new bool[1], default));
        Assert.Null(await client.LeaseAsync(NodeFixture.Scope, hash, default));
        Assert.Null(await client.PingAsync(default));

        node.Restart();
        await Eventually.Holds(async () => (await client.GetAsync(NodeFixture.Scope, hash, destination, default)).IsHit, "a hit after the node came back");
        Assert.Equal(payload, destination);
    }

    [Theory]
    [InlineData(ClientTransport.Tcp, false)]
    [InlineData(ClientTransport.Tcp, true)]
    [InlineData(ClientTransport.SharedMemory, false)]
    [InlineData(ClientTransport.SharedMemory, true)]
    public async Task Never_gives_wrong_bytes_while_the_node_is_cut_off_in_mid_transfer(ClientTransport transport, bool blocking)
    {
        await using var node = new NodeFixture(options => options.ArenaBytes = 64 << 20);
        var client = await node.ConnectAsync(transport, blocking);
        using var stop = new CancellationTokenSource();
        var hits = new StrongBox<int>();
        var workers = Enumerable.Range(0, 3).Select(worker => Task.Run(() => WorkAsync(client, worker, hits, stop.Token))).ToArray();
        for (var round = 0; round < 3; round++)
        {
            await SeeAnotherHitAsync();
            await node.CutOffAsync();
            node.Restart();
        }

        await SeeAnotherHitAsync();
        await stop.CancelAsync();
        await Task.WhenAll(workers).Within("the end of every worker");

        // A worker ends before it is told to only when it failed; the end of the test says how.
        Task SeeAnotherHitAsync()
        {
            var before = Volatile.Read(ref hits.Value);
            return Eventually.Holds(
                () => Volatile.Read(ref hits.Value) > before || workers.Any(worker => worker.IsCompleted), "a hit since the node was last cut off");
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Cancels_a_call_that_waits_for_a_silent_node(bool blocking)
    {
        using var silent = new SilentNode();
        await using var client = await KvMeshClient.ConnectAsync(
            new ClientOptions
            {
                Endpoint = $"tcp://{silent.Endpoint}",
                BlockingCalls = blocking,
                Connections = 1,
                ConnectTimeout = Eventually.Patience,
                RequestTimeout = Eventually.Patience,
            },
            default);
        using var cancel = new CancellationTokenSource();
        var call = Task.Run(async () => await client.GetAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), new byte[100], cancel.Token));
        await silent.Asked.Within("the request");
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call.Within("the end of the call"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Gives_up_on_a_silent_node_after_the_request_timeout(bool blocking)
    {
        using var silent = new SilentNode();
        var options = new ClientOptions
        {
            Endpoint = $"tcp://{silent.Endpoint}",
            BlockingCalls = blocking,
            Connections = 1,
            ConnectTimeout = Eventually.Patience,
            RequestTimeout = TimeSpan.FromSeconds(3),
        };

        // A greeting may take no longer than a request either, which a busy machine cannot promise.
        await using var client = await Eventually.Succeeds<KvMeshClient, KvMeshConnectException>(
            () => Eventually.Run(() => KvMeshClient.ConnectAsync(options, default).AsTask()).Unwrap(), "the greeting");
        var result = await Task.Run(async () => await client.GetAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), new byte[100], default)).Within("the end of the call");
        Assert.Equal(GetStatus.Failed, result.Status);
    }

    [Fact]
    public async Task Says_why_the_first_connection_failed()
    {
        using var closed = new ClosedPort();
        var refused = await Assert.ThrowsAsync<KvMeshConnectException>(async () =>
            await KvMeshClient.ConnectAsync(new ClientOptions { Endpoint = $"tcp://{closed.Endpoint}" }, default));
        Assert.Contains(closed.Endpoint.ToString(), refused.Message, StringComparison.Ordinal);

        var wrong = await Assert.ThrowsAsync<ArgumentException>(async () => await KvMeshClient.ConnectAsync(new ClientOptions { Endpoint = "http://x" }, default));
        Assert.Contains("http://x", wrong.Message, StringComparison.Ordinal);
        var many = await Assert.ThrowsAsync<ArgumentException>(async () => await KvMeshClient.ConnectAsync(new ClientOptions { Connections = 65 }, default));
        Assert.Contains("Connections is 65; it must be 1 to 64", many.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Refuses_to_work_after_it_was_disposed()
    {
        await using var node = new NodeFixture();
        var client = await node.ConnectAsync();
        await client.DisposeAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await client.PingAsync(default));
    }

    /// <summary>Puts and gets blocks whose bytes tell which they are, and counts the gets that were hits; every one of them was right.</summary>
    private static async Task WorkAsync(KvMeshClient client, int worker, StrongBox<int> hits, CancellationToken stop)
    {
        var random = new Random(worker);
        var destination = new byte[MiB];
        while (!stop.IsCancellationRequested)
        {
            var index = random.Next(20);
            var payload = TestBytes.Payload(index, (MiB / 2) + index);
            await client.PutAsync(NodeFixture.Scope, TestBytes.Hash(9, index), default, payload, default);
            var result = await client.GetAsync(NodeFixture.Scope, TestBytes.Hash(9, index), destination, default);
            if (result.IsHit)
            {
                Assert.True(destination.AsSpan(0, result.Bytes).SequenceEqual(payload), $"block {index} came back different");
                Interlocked.Increment(ref hits.Value);
            }
        }
    }
}
