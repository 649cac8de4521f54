using KvMesh.Cli.Workload;
using KvMesh.Simulation.Traces;

namespace KvMesh.Cli.Tests.Workload;

public sealed class WorkloadClientTests : IAsyncDisposable
{
    private static readonly WorkloadKeys Keys = new("model", 1, 4096);
    private readonly ModelDoor _door = new();
    private readonly WorkloadClient _client;

    public WorkloadClientTests()
    {
        _client = new WorkloadClient(_door, Keys, TimeProvider.System);
    }

    public ValueTask DisposeAsync() => _door.DisposeAsync();

    [Fact]
    public async Task A_repeated_prompt_hits_all_full_blocks_and_counts_the_partial_one()
    {
        await Serve(10, fullBlocks: 9);
        await Serve(10, fullBlocks: 9);

        var totals = _client.Tally.Totals();
        Assert.Equal((2, 20, 9, 0), (totals.Requests, totals.Blocks, totals.HitBlocks, totals.MismatchedBytes));
        Assert.Equal(9, totals.StoredBlocks);
        Assert.Equal(9 * 4096, totals.ReadBytes);
    }

    [Fact]
    public async Task Long_prompts_go_in_batches_and_still_hit_whole()
    {
        await Serve(1000, fullBlocks: 1000);
        await Serve(1000, fullBlocks: 1000);

        Assert.Equal(1000, _client.Tally.Totals().HitBlocks);
        Assert.All(_door.WrittenBatchSizes, size => Assert.InRange(size, 1, 64));
    }

    [Fact]
    public async Task Another_keys_bytes_are_counted_and_named()
    {
        await Serve(4, fullBlocks: 4);
        _door.MixUpAt = 2;
        await Serve(4, fullBlocks: 4);

        Assert.Equal(1, _client.Tally.Totals().MismatchedBlocks);
        Assert.Contains("block 2", _client.Tally.FirstMismatch, StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_wrong_bit_is_one_wrong_byte()
    {
        await Serve(3, fullBlocks: 3);
        _door.Corrupts = true;
        await Serve(3, fullBlocks: 3);

        Assert.Equal(3, _client.Tally.Totals().MismatchedBytes);
    }

    [Fact]
    public async Task Bytes_of_an_earlier_read_never_pass_for_an_answer()
    {
        await Serve(3, fullBlocks: 3);
        await Serve(3, fullBlocks: 3);
        _door.DeliversNothing = true;
        await Serve(3, fullBlocks: 3);

        Assert.Equal(3, _client.Tally.Totals().MismatchedBlocks);
    }

    [Fact]
    public async Task A_hole_ends_the_hits()
    {
        await Serve(5, fullBlocks: 5);
        _door.Forget(Hashes(5).Slice(2 * 32, 32));
        await Serve(5, fullBlocks: 5);

        Assert.Equal(2, _client.Tally.Totals().HitBlocks);
        Assert.Equal(6, _client.Tally.Totals().StoredBlocks);
    }

    [Fact]
    public async Task A_lost_node_ends_the_run_with_the_reason()
    {
        _door.IsLost = true;
        var requests = Enumerable.Range(0, 100).Select(_ => Prompt(3, 3)).ToArray();
        var runner = new WorkloadRunner(requests, [_client], TimeProvider.System, speed: 0);

        var failure = await Assert.ThrowsAsync<WorkloadAbortedException>(() => runner.RunAsync(CancellationToken.None));

        Assert.Contains("connection refused", failure.Message, StringComparison.Ordinal);
        Assert.Equal(WorkloadRunner.MaxFailuresInARow, runner.Totals.Errors);
    }

    [Fact]
    public async Task Every_prompt_is_served_once_whatever_the_number_of_clients()
    {
        var requests = ConversationGenerator.Generate(new ConversationOptions { Requests = 200 });
        var clients = Enumerable.Range(0, 4).Select(_ => new WorkloadClient(new ModelDoor(), Keys, TimeProvider.System)).ToArray();
        var runner = new WorkloadRunner(requests, clients, TimeProvider.System, speed: 0);

        await runner.RunAsync(CancellationToken.None);

        Assert.Equal(200, runner.Totals.Requests);
        Assert.Equal(requests.Sum(request => request.BlockIds.Length), runner.Totals.Blocks);
    }

    [Theory]
    [InlineData(8, 0, ExitCode.VerificationFailed)]
    [InlineData(0, 1, ExitCode.Failure)]
    [InlineData(0, 0, ExitCode.Success)]
    public void Wrong_bytes_outweigh_errors_in_the_exit_code(long mismatchedBytes, long errors, ExitCode expected)
    {
        var totals = new WorkloadTotals { MismatchedBytes = mismatchedBytes, Errors = errors };

        Assert.Equal(expected, WorkloadReport.Of(totals, TimeSpan.FromSeconds(1), 4096, interrupted: false).ExitCode);
    }

    private static PromptRequest Prompt(int blocks, int fullBlocks) =>
        new(0, Enumerable.Range(0, blocks).Select(i => (ulong)i).ToArray(), fullBlocks);

    private static ReadOnlyMemory<byte> Hashes(int blocks)
    {
        byte[] buffer = [];
        return Prompt(blocks, blocks).HashInto(ref buffer);
    }

    private ValueTask Serve(int blocks, int fullBlocks) => _client.ServeAsync(Prompt(blocks, fullBlocks), CancellationToken.None);
}
