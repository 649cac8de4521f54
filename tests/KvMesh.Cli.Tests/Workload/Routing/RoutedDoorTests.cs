using KvMesh.Cli.Workload;
using KvMesh.Cli.Workload.Routing;
using KvMesh.Simulation.Traces;
using KvMesh.TestKit;

namespace KvMesh.Cli.Tests.Workload.Routing;

/// <summary>Requests through several doors, some of which are lost: misses, never errors, until nobody is left.</summary>
public sealed class RoutedDoorTests : IAsyncDisposable
{
    private static readonly WorkloadKeys Keys = new("model", 1, 4096);

    private readonly SimulatedClock _clock = new();
    private readonly ModelDoor[] _nodes = [new(), new(), new()];
    private readonly bool[] _refuses = new bool[3];
    private readonly MeshEndpoint[] _endpoints;
    private readonly RoutedDoor _door;
    private readonly WorkloadClient _client;

    public RoutedDoorTests()
    {
        string[] addresses = ["a", "b", "c"];
        _endpoints = [.. addresses.Select(address => new MeshEndpoint(address, _clock))];
        var router = new MeshRouter(RequestRouting.RoundRobin, addresses, affinityBlocks: 1);
        _door = new RoutedDoor(router, _endpoints, (index, _) => _refuses[index]
            ? ValueTask.FromException<IWorkloadDoor>(new IOException($"{addresses[index]} refuses"))
            : ValueTask.FromResult<IWorkloadDoor>(_nodes[index]));
        _client = new WorkloadClient(_door, Keys, TimeProvider.System, endpoints: 3);
    }

    public ValueTask DisposeAsync() => _door.DisposeAsync();

    [Fact]
    public async Task Requests_are_counted_at_the_node_where_they_entered()
    {
        for (var i = 0; i < 6; i++)
        {
            await ServeAsync(blocks: 4);
        }

        Assert.All(Enumerable.Range(0, 3), node => Assert.Equal((2, 8, 4), _client.Tally.At(node)));
        Assert.All(_nodes, node => Assert.Equal(4, node.Count));
    }

    [Fact]
    public async Task A_node_that_is_not_there_at_the_start_costs_nothing_but_its_place()
    {
        _refuses[1] = true;
        await _door.OpenAsync(CancellationToken.None);
        for (var i = 0; i < 6; i++)
        {
            await ServeAsync(blocks: 4);
        }

        Assert.Equal(0, _client.Tally.Totals().Errors);
        Assert.Equal(6, _client.Tally.Totals().Requests);
        Assert.Equal((0, 0, 0), _client.Tally.At(1));
        Assert.Equal(2, _endpoints[1].Diverted);
        Assert.True(_endpoints[1].IsDown);
        Assert.Contains("b refuses", _endpoints[1].FirstFailure, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_start_without_any_node_names_them_all()
    {
        _refuses.AsSpan().Fill(true);

        var failure = await Assert.ThrowsAsync<IOException>(() => _door.OpenAsync(CancellationToken.None).AsTask());

        Assert.Contains("a refuses; b refuses; c refuses", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_a_lost_node_does_not_take_goes_to_the_next_one(bool tellsAtTheMatch)
    {
        _nodes[0].IsLost = true;
        _nodes[0].LostMatchesNothing = !tellsAtTheMatch;

        await ServeAsync(blocks: 4);

        Assert.Equal((0, 4), (_client.Tally.Totals().Errors, _client.Tally.Totals().StoredBlocks));
        Assert.Equal((1, 1, true), (_endpoints[0].Failures, _endpoints[0].Diverted, _endpoints[0].IsDown));
        Assert.Equal(4, _nodes[1].Count);
    }

    [Fact]
    public async Task Blocks_that_a_node_took_along_are_misses_and_are_written_to_the_next_one()
    {
        await ServeAsync(blocks: 4);
        _nodes[0].LosesReads = true;
        await ServeAsync(blocks: 4);
        await ServeAsync(blocks: 4);

        await ServeAsync(blocks: 4);

        Assert.Equal((0, 0), (_client.Tally.Totals().Errors, _client.Tally.Totals().MismatchedBytes));
        Assert.Equal((2, 8, 0), _client.Tally.At(0));
        Assert.Equal(1, _endpoints[0].Diverted);
    }

    [Fact]
    public async Task A_node_that_comes_back_is_used_again_after_a_pause()
    {
        _nodes[0].IsLost = true;
        await ServeAsync(blocks: 4);
        _nodes[0].IsLost = false;
        for (var i = 0; i < 5; i++)
        {
            await ServeAsync(blocks: 4);
        }

        Assert.Equal((0, 0, 0), _client.Tally.At(0));
        _clock.Advance(TimeSpan.FromSeconds(9));
        for (var i = 0; i < 3; i++)
        {
            await ServeAsync(blocks: 4);
        }

        Assert.Equal((1, 4, 0), _client.Tally.At(0));
        Assert.False(_endpoints[0].IsDown);
    }

    [Fact]
    public async Task Only_when_no_node_answers_the_run_ends()
    {
        Array.ForEach(_nodes, node => node.IsLost = true);
        var requests = Enumerable.Range(0, 100).Select(_ => Prompt(3)).ToArray();
        var runner = new WorkloadRunner(requests, [_client], TimeProvider.System, speed: 0);

        var failure = await Assert.ThrowsAsync<WorkloadAbortedException>(() => runner.RunAsync(CancellationToken.None));

        Assert.Contains("none of 3 nodes answers", failure.Message, StringComparison.Ordinal);
    }

    private static PromptRequest Prompt(int blocks) => new(0, Enumerable.Range(0, blocks).Select(i => (ulong)i).ToArray(), blocks);

    private ValueTask ServeAsync(int blocks) => _client.ServeAsync(Prompt(blocks), CancellationToken.None);
}
