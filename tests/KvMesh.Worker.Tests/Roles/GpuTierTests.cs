using KvMesh.Remote.Tests.Sequences;
using KvMesh.TestKit;
using KvMesh.Worker.Roles;
using KvMesh.Worker.Tests.Serving;

namespace KvMesh.Worker.Tests.Roles;

/// <summary>Workers whose blocks are in no node: one computes, another one finds them in the memory of the first.</summary>
public sealed class GpuTierTests : IAsyncLifetime, IDisposable
{
    private readonly SeededRequests _requests = new();
    private MeshOfWorkers _mesh = null!;

    public async Task InitializeAsync() => _mesh = await new MeshOfWorkers(_requests).StartAsync();

    public async Task DisposeAsync() => await _mesh.DisposeAsync();

    public void Dispose() => _requests.Dispose();

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Tokens_are_the_same_with_blocks_out_of_another_workers_memory(int parts)
    {
        var holder = await _mesh.StartWorkerAsync(Unpublished with { Parts = parts });
        var reader = await _mesh.StartWorkerAsync(Reading with { Parts = parts });
        var prompt = Longest();
        await _requests.CompareAsync(holder.Worker.Generator, [prompt]);
        var blocks = (_requests.Requests[prompt].Prompt.Count - 1) / SeededRequests.BlockTokens;
        await Eventually.Holds(() => holder.Worker.Figures().Mesh.AnnouncedBlocks >= blocks, "the announcement of the prompt's blocks");

        await _requests.CompareAsync(reader.Worker.Generator, [prompt]);

        Assert.Equal(blocks, reader.Worker.Figures().Mesh.PulledBlocks);
        Assert.Equal(blocks * SeededRequests.BlockTokens, reader.Worker.Figures().Serving.CachedTokens);
        await Eventually.Holds(() => holder.Worker.Figures().Mesh.HandedOverBlocks == blocks * parts, "the count of what was handed over");
        Assert.Equal(0, holder.Worker.Figures().Mesh.PublishedBlocks);
    }

    [Fact]
    public async Task Tokens_are_the_same_while_the_memory_that_is_read_is_used_for_others()
    {
        var holder = await _mesh.StartWorkerAsync(Unpublished with { CacheBytes = 14L * _requests.Format.BlockBytes, MaxRunning = 2 });
        var reader = await _mesh.StartWorkerAsync(Reading with { CacheBytes = 12L * _requests.Format.BlockBytes, MaxRunning = 2 });
        var numbers = Enumerable.Range(0, SeededRequests.Count).ToArray();

        var computing = _requests.CompareAsync(holder.Worker.Generator, numbers, atOnce: 3);
        await _requests.CompareAsync(reader.Worker.Generator, numbers, atOnce: 3);
        await computing;

        Assert.True(holder.Worker.Figures().Mesh.AnnouncedBlocks > 0, $"{holder.Worker.Figures()}");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_worker_that_is_lost_is_a_miss(bool whileItIsAsked)
    {
        await using var mesh = await new MeshOfWorkers(_requests, sharesMemory: false).StartAsync();
        var reader = await mesh.StartWorkerAsync(Reading with { Node = mesh.Endpoint });
        var prompt = Longest();
        var reading = Task.CompletedTask;
        WorkerHost holder;
        await using (var way = new SwallowingProxy(mesh.Port))
        {
            holder = await mesh.StartWorkerAsync(Unpublished with { Node = $"tcp://127.0.0.1:{way.Port}" });
            await _requests.CompareAsync(holder.Worker.Generator, [prompt]);
            await Eventually.Holds(() => holder.Worker.Figures().Mesh.AnnouncedBlocks > 0, "the announcement");

            // Nobody tells the node that the worker is gone: it asks, and hears nothing until the connection ends.
            way.Swallow();
            if (whileItIsAsked)
            {
                reading = _requests.CompareAsync(reader.Worker.Generator, [prompt]);
                await Eventually.Holds(() => mesh.PromisedByWorkers > 0, "a read from the memory of the lost worker");
            }
        }

        await reading.Within("the tokens");
        await _requests.CompareAsync(reader.Worker.Generator, Enumerable.Range(0, 20));

        Assert.Equal(0, reader.Worker.Figures().Mesh.PulledBlocks);
        Assert.Equal(0, holder.Worker.Figures().Mesh.HandedOverBlocks);
    }

    [Fact]
    public async Task A_worker_that_hands_over_nothing_announces_nothing()
    {
        var closed = await _mesh.StartWorkerAsync(Unpublished with { HandOvers = 0 });
        var reader = await _mesh.StartWorkerAsync(Reading);

        await _requests.CompareAsync(closed.Worker.Generator, Enumerable.Range(0, 10));
        await _requests.CompareAsync(reader.Worker.Generator, Enumerable.Range(0, 10));

        Assert.Equal((0, 0), (closed.Worker.Figures().Mesh.AnnouncedBlocks, reader.Worker.Figures().Mesh.PulledBlocks));
    }

    private WorkerOptions Unpublished => _mesh.Options(WorkerRole.Both) with { MaxUnpublishedBytes = 0 };

    private WorkerOptions Reading => Unpublished with { HandOvers = 0, PlansLoads = false };

    private int Longest() => Enumerable.Range(0, SeededRequests.Count).MaxBy(number => _requests.Requests[number].Prompt.Count);
}
