using KvMesh.TestKit;
using KvMesh.Worker.Roles;
using KvMesh.Worker.Serving;
using KvMesh.Worker.Tests.Serving;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace KvMesh.Worker.Tests.Roles;

public sealed class RoleTests : IAsyncLifetime, IDisposable
{
    private readonly SeededRequests _requests = new();
    private MeshOfWorkers _mesh = null!;

    public async Task InitializeAsync() => _mesh = await new MeshOfWorkers(_requests).StartAsync();

    public async Task DisposeAsync() => await _mesh.DisposeAsync();

    public void Dispose() => _requests.Dispose();

    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(2, 2, 1)]
    [InlineData(2, 1, 2)]
    public async Task Tokens_are_the_same_with_blocks_that_another_worker_published(int parts, int shardsOfWriter, int shardsOfReader)
    {
        var options = _mesh.Options(WorkerRole.Both) with { Parts = parts };
        var writer = await _mesh.StartWorkerAsync(options with { Shards = shardsOfWriter });
        await _requests.CompareAsync(writer.Worker.Generator, Enumerable.Range(0, SeededRequests.Count));
        await writer.Worker.FlushAsync(default);
        var reader = await _mesh.StartWorkerAsync(options with { Shards = shardsOfReader, CacheBytes = 12L * _requests.Format.BlockBytes, MaxRunning = 3, PlansLoads = false });

        await _requests.CompareAsync(reader.Worker.Generator, Enumerable.Range(0, SeededRequests.Count));

        var (wrote, read) = (writer.Worker.Figures(), reader.Worker.Figures());
        Assert.True(wrote.Mesh is { PublishedBlocks: > 0, DroppedBlocks: 0 }, $"{wrote}");
        Assert.True(read.Mesh.PulledBlocks > 0, $"{read}");
    }

    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(2, 2, 1)]
    public async Task Tokens_are_the_same_with_prompts_that_prefill_workers_compute(int parts, int shardsOfPrefill, int shardsOfDecode)
    {
        var options = _mesh.Options(WorkerRole.Prefill) with { Parts = parts, Shards = shardsOfPrefill };
        var first = await _mesh.StartWorkerAsync(options);
        var second = await _mesh.StartWorkerAsync(options);
        var decode = await _mesh.StartWorkerAsync(options with { Role = WorkerRole.Decode, Shards = shardsOfDecode, PrefillWorkers = [first.Address, second.Address] });

        await _requests.CompareAsync(decode.Worker.Generator, Enumerable.Range(0, SeededRequests.Count), atOnce: 4);

        var figures = decode.Worker.Figures();
        Assert.True(figures.Mesh is { DelegatedPrompts: > 0, FailedDelegations: 0, FollowedBlocks: > 0 }, $"{figures}");
        Assert.True(first.Worker.Figures().Serving.ComputedTokens > 0 && second.Worker.Figures().Serving.ComputedTokens > 0, "one of the prefill workers was never asked.");
        Assert.All(decode.Worker.Health().PrefillWorkers, worker => Assert.Equal((true, ""), (worker.IsUp, worker.Reason)));
    }

    [Theory]
    [InlineData("refuses")]
    [InlineData("ends behind the grant")]
    [InlineData("grants other blocks")]
    [InlineData("is not there")]
    [InlineData("hangs before the grant")]
    [InlineData("hangs behind the grant")]
    public async Task A_prefill_worker_that_fails_costs_time_and_no_token(string how)
    {
        using var closed = new ClosedPort();
        await using var broken = await WorkerHost.ServeAsync(application => application.MapPost("/v1/prefill", context => MisbehaveAsync(context, how, _mesh.Endpoint)));
        var address = how == "is not there" ? new Uri($"http://{closed.Endpoint}") : new Uri(broken.Urls.First());
        var options = _mesh.Options(WorkerRole.Decode) with { PrefillWorkers = [address] };
        var decode = await _mesh.StartWorkerAsync(how.StartsWith("hangs", StringComparison.Ordinal) ? options with { SectionTimeout = TimeSpan.FromMilliseconds(200) } : options);

        await _requests.CompareAsync(decode.Worker.Generator, Enumerable.Range(0, 30));

        var figures = decode.Worker.Figures();
        Assert.True(figures.Mesh.FailedDelegations > 0, $"{figures}");

        // What was granted and never came may have been published by another request of this worker meanwhile: then it was there to be followed.
        var mayCome = how.EndsWith("behind the grant", StringComparison.Ordinal);
        Assert.True(figures.Mesh.DelegatedPrompts == 0 || mayCome, $"{figures}");
        var peer = Assert.Single(decode.Worker.Health().PrefillWorkers);
        Assert.True(peer.Reason.Length > 0 || figures.Mesh.DelegatedPrompts > 0, $"{peer} {figures}");
    }

    [Fact]
    public async Task Workers_serve_without_their_node_and_publish_nothing()
    {
        using var closed = new ClosedPort();
        await using var alone = await WorkerRuntime.StartAsync(_mesh.Options(WorkerRole.Both) with { Node = $"tcp://{closed.Endpoint}" }, default);

        await _requests.CompareAsync(alone.Generator, Enumerable.Range(0, 30));

        Assert.False(alone.Health().NodeReached);
        Assert.Equal((0, 0), (alone.Figures().Mesh.PublishedBlocks, alone.Figures().Mesh.PulledBlocks));
    }

    [Fact]
    public async Task What_does_not_fit_on_its_way_to_the_node_is_dropped_and_no_request_waits_for_it()
    {
        var narrow = await _mesh.StartWorkerAsync(_mesh.Options(WorkerRole.Both) with { MaxUnpublishedBytes = 0 });

        await _requests.CompareAsync(narrow.Worker.Generator, Enumerable.Range(0, 30));

        await narrow.Worker.FlushAsync(default);
        Assert.True(narrow.Worker.Figures().Mesh is { PublishedBlocks: 0, DroppedBlocks: > 0 }, $"{narrow.Worker.Figures()}");
    }

    [Fact]
    public async Task Options_out_of_their_range_are_refused_by_name()
    {
        var options = _mesh.Options(WorkerRole.Both);
        Assert.StartsWith("Parts is 3; it must divide the 2 KV heads", (await RefusedAsync(options with { Parts = 3 })).Message, StringComparison.Ordinal);
        Assert.StartsWith("Shards is 2; it must divide Parts, which is 1", (await RefusedAsync(options with { Shards = 2 })).Message, StringComparison.Ordinal);
        Assert.StartsWith("Node is missing; it must be the door of a node", (await RefusedAsync(options with { Role = WorkerRole.Decode, Node = null })).Message, StringComparison.Ordinal);
        Assert.StartsWith("BlockTokens is 0; it must be 1 to 512.", (await RefusedAsync(options with { BlockTokens = 0 })).Message, StringComparison.Ordinal);
        Assert.StartsWith("HandOvers is 65; it must be 0 to 64.", (await RefusedAsync(options with { HandOvers = 65 })).Message, StringComparison.Ordinal);
        static Task<ArgumentException> RefusedAsync(WorkerOptions options) => Assert.ThrowsAsync<ArgumentException>(() => WorkerRuntime.StartAsync(options, default));
    }

    private static async Task MisbehaveAsync(HttpContext context, string how, string node)
    {
        // A worker that is gone closes what it has; one that hangs holds it until the other side leaves.
        var grant = """{"node":"tcp://127.0.0.1:1","lastHash":"00","blocks":1,"groupBlocks":1}""" + "\n";
        switch (how)
        {
            case "refuses":
                context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
                return;
            case "hangs before the grant":
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
                return;
            case "grants other blocks":
                await context.Response.WriteAsync(grant);
                return;
        }

        var request = (await context.Request.ReadFromJsonAsync<PrefillRequest>())!;
        var chain = new TokenChain(request.Tokens, request.Tokens.Length, SeededRequests.BlockTokens);
        var blocks = (request.Tokens.Length - 1) / SeededRequests.BlockTokens;
        await context.Response.WriteAsJsonAsync(new PrefillGrant(node, chain.Hash(blocks - 1).ToString(), blocks, 2));
        await context.Response.WriteAsync("\n");
        await context.Response.Body.FlushAsync();
        if (how == "ends behind the grant")
        {
            context.Abort();
            return;
        }

        await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
    }
}
