using KvMesh.Cluster;
using KvMesh.LoadTest.Faults.Networks;
using KvMesh.TestKit;
using KvMesh.Worker.Roles;
using KvMesh.Worker.Serving;
using KvMesh.Worker.Tests.Serving;

namespace KvMesh.Worker.Tests.Roles;

/// <summary>Blocks that the mesh has are fetched where that is sooner, and computed where it is not; the tokens are the same.</summary>
public sealed class PlannedPullTests : IAsyncLifetime, IDisposable
{
    private const int Prompts = 6;
    private const int PromptTokens = 201;
    private const int PromptBlocks = (PromptTokens - 1) / SeededRequests.BlockTokens;

    /// <summary>A prompt takes seconds over it.</summary>
    private const int SlowBytesPerSecond = 32 << 10;

    private readonly SeededRequests _requests = new();
    private readonly string[] _expected = new string[Prompts];
    private MeshOfWorkers _mesh = null!;

    public async Task InitializeAsync()
    {
        _mesh = await new MeshOfWorkers(_requests, sharesMemory: false).StartAsync();
        var writer = await _mesh.StartWorkerAsync(Options);
        for (var number = 0; number < Prompts; number++)
        {
            _expected[number] = await TokensAsync(writer, number);
        }

        await writer.Worker.FlushAsync(default);
    }

    public async Task DisposeAsync() => await _mesh.DisposeAsync();

    public void Dispose() => _requests.Dispose();

    [Fact]
    public async Task Over_a_fast_link_all_is_fetched()
    {
        // On a machine that is busy elsewhere the link seems slow for a while, and then it is right to compute.
        await Eventually.Holds(
            async () =>
            {
                var reader = await _mesh.StartWorkerAsync(Options);
                Assert.Equal(_expected[0], await TokensAsync(reader, 0));
                return reader.Worker.Figures().Mesh.PulledBlocks == PromptBlocks;
            },
            "a reader that fetches all");
    }

    [Fact]
    public async Task Over_a_slow_link_what_is_sooner_computed_is_computed_and_a_span_tells_why()
    {
        using var spans = new Spans(ClusterActivities.SourceName);
        await using var link = new SlowLink(_mesh.Port, SlowBytesPerSecond);
        var reader = await _mesh.StartWorkerAsync(Options with { Node = link.Endpoint });

        for (var number = 0; number < Prompts; number++)
        {
            Assert.Equal(_expected[number], await TokensAsync(reader, number));
        }

        // The first was asked for over the link, which seemed fast; what did not come was computed. Then the link was known.
        var figures = reader.Worker.Figures();
        Assert.True(figures.Serving.ComputedTokens > (Prompts - 1) * PromptTokens, $"{figures}");
        var plan = spans.OfThisTest.Last(span => span.OperationName == "plan prefix read");
        Assert.True(plan.GetTagItem("kvmesh.plan.computed_blocks") is > PromptBlocks / 2, $"{plan.GetTagItem("kvmesh.plan.computed_blocks")} of {PromptBlocks} blocks are computed.");
        var reason = plan.Events.First(entry => entry.Name == "compute").Tags.Single(tag => tag.Key == "kvmesh.part.reason").Value;
        Assert.False(string.IsNullOrEmpty((string?)reason));
    }

    /// <summary>Both sides are about as fast: what is computed, fetched, or had by both is decided anew all the time.</summary>
    [Theory]
    [InlineData(300_000)]
    [InlineData(1_000_000)]
    [InlineData(3_000_000)]
    [InlineData(10_000_000)]
    public async Task Whatever_comes_first_the_tokens_are_the_same(int bytesPerSecond)
    {
        await using var link = new SlowLink(_mesh.Port, bytesPerSecond);
        var reader = await _mesh.StartWorkerAsync(Options with { Node = link.Endpoint });

        var answers = await Task.WhenAll(Enumerable.Range(0, Prompts).Select(number => TokensAsync(reader, number)));

        Assert.Equal(_expected, answers);
    }

    [Fact]
    public async Task Over_a_slow_link_all_is_fetched_when_nothing_is_to_be_planned()
    {
        await using var link = new SlowLink(_mesh.Port, SlowBytesPerSecond);
        var reader = await _mesh.StartWorkerAsync(Options with { Node = link.Endpoint, PlansLoads = false });

        Assert.Equal(_expected[0], await TokensAsync(reader, 0));
        Assert.Equal(_expected[1], await TokensAsync(reader, 1));

        Assert.Equal(2 * PromptBlocks, reader.Worker.Figures().Mesh.PulledBlocks);
    }

    private WorkerOptions Options => _mesh.Options(WorkerRole.Both) with { CacheBytes = 256L * _requests.Format.BlockBytes };

    private static async Task<string> TokensAsync(WorkerHost worker, int number)
    {
        var random = new Random(number);
        var request = new GenerationRequest { Prompt = [.. Enumerable.Range(0, PromptTokens).Select(_ => random.Next(250))], MaxTokens = 5 };
        return string.Join(' ', await SeededRequests.TokensAsync(worker.Worker.Generator, request));
    }
}
