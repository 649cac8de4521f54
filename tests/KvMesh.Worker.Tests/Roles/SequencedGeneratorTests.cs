using KvMesh.Client;
using KvMesh.Protocol.Sequences;
using KvMesh.TestKit;
using KvMesh.Worker.Roles;
using KvMesh.Worker.Serving;
using KvMesh.Worker.Tests.Serving;

namespace KvMesh.Worker.Tests.Roles;

/// <summary>A sequence that a request names is taken, grows and is parked; whoever goes on with it has the same tokens as one who computes all.</summary>
public sealed class SequencedGeneratorTests : IAsyncLifetime, IDisposable
{
    private const string Name = "chat";

    private readonly SeededRequests _requests = new();
    private MeshOfWorkers _mesh = null!;
    private WorkerHost _plain = null!;
    private KvMeshClient _client = null!;

    public async Task InitializeAsync()
    {
        _mesh = await new MeshOfWorkers(_requests).StartAsync();
        _plain = await WorkerHost.StartAsync(_mesh.Options(WorkerRole.Both) with { Node = null });
        _client = await KvMeshClient.ConnectAsync(new ClientOptions { Endpoint = _mesh.Endpoint }, default);
    }

    public async Task DisposeAsync()
    {
        await _client.DisposeAsync();
        await _plain.DisposeAsync();
        await _mesh.DisposeAsync();
    }

    public void Dispose() => _requests.Dispose();

    [Fact]
    public async Task Turns_of_a_sequence_are_answered_by_one_worker_after_the_other()
    {
        int[] prompt = [.. _requests.Requests[0].Prompt, .. _requests.Requests[1].Prompt];
        for (var turn = 1; turn <= 3; turn++)
        {
            var worker = await _mesh.StartWorkerAsync(_mesh.Options(WorkerRole.Both) with { PlansLoads = false });
            var answer = await CompareAsync(worker, prompt);

            // The last token was chosen and not computed.
            int[] all = [.. prompt, .. answer];
            var found = await FindAsync();
            Assert.Equal((SequenceState.Parked, (long)((all.Length - 1) / SeededRequests.BlockTokens), true), (found.State, found.Blocks, found.LosslessOnly));
            Assert.Equal(new TokenChain(all, all.Length, SeededRequests.BlockTokens).Hash((int)found.Blocks - 1), found.LastHash);
            Assert.Equal((1L, 0L), (worker.Worker.Figures().Mesh.ParkedSequences, worker.Worker.Figures().Mesh.UnkeptSequences));
            Assert.True(turn == 1 || worker.Worker.Figures().Mesh.PulledBlocks >= (prompt.Length / SeededRequests.BlockTokens) - 3, $"turn {turn}: {worker.Worker.Figures()}");
            prompt = [.. all, .. _requests.Requests[turn + 1].Prompt.Take(9)];
        }
    }

    [Fact]
    public async Task A_prompt_that_goes_on_otherwise_begins_the_sequence_anew()
    {
        var worker = await _mesh.StartWorkerAsync(_mesh.Options(WorkerRole.Both));
        await CompareAsync(worker, [.. Enumerable.Range(1, 40)]);
        var before = await FindAsync();

        var answer = await CompareAsync(worker, [.. Enumerable.Range(3, 30)]);

        int[] all = [.. Enumerable.Range(3, 30), .. answer];
        var found = await FindAsync();
        Assert.Equal((SequenceState.Parked, (long)((all.Length - 1) / SeededRequests.BlockTokens)), (found.State, found.Blocks));
        Assert.Equal(new TokenChain(all, all.Length, SeededRequests.BlockTokens).Hash((int)found.Blocks - 1), found.LastHash);
        Assert.NotEqual(before.LastHash, found.LastHash);
    }

    [Fact]
    public async Task What_another_one_took_meanwhile_stays_the_others()
    {
        var worker = await _mesh.StartWorkerAsync(_mesh.Options(WorkerRole.Both));
        var request = Request([.. Enumerable.Range(1, 40)]);
        await using (var tokens = worker.Worker.Generator.GenerateAsync(request, default).GetAsyncEnumerator())
        {
            Assert.True(await tokens.MoveNextAsync());
            Assert.True((await _client.Sequences.ResumeAsync(Name, "other", default)).IsOk);
            while (await tokens.MoveNextAsync())
            {
            }
        }

        var found = await FindAsync();
        Assert.Equal((SequenceState.Active, "other", 0L), (found.State, found.Holder, found.Blocks));
        Assert.Equal((0L, 1L), (worker.Worker.Figures().Mesh.ParkedSequences, worker.Worker.Figures().Mesh.UnkeptSequences));
    }

    [Fact]
    public async Task Without_the_node_the_tokens_are_the_same_and_nothing_is_kept()
    {
        using var closed = new ClosedPort();
        await using var alone = await WorkerHost.StartAsync(_mesh.Options(WorkerRole.Both) with { Node = $"tcp://{closed.Endpoint}" });

        await CompareAsync(alone, [.. Enumerable.Range(1, 40)]);

        Assert.Equal(1, alone.Worker.Figures().Mesh.UnkeptSequences);
    }

    [Fact]
    public async Task A_worker_that_cuts_blocks_refuses_sequences_by_name()
    {
        var worker = await _mesh.StartWorkerAsync(_mesh.Options(WorkerRole.Both) with { Parts = 2 });

        var refused = await Assert.ThrowsAsync<ArgumentException>(() => SeededRequests.TokensAsync(worker.Worker.Generator, Request([1, 2, 3])));

        Assert.StartsWith("Sequence is 'chat'; it must be null for a worker whose blocks have 2 parts", refused.Message, StringComparison.Ordinal);
    }

    private static GenerationRequest Request(int[] prompt) => new() { Prompt = prompt, MaxTokens = 12, Sequence = Name };

    /// <summary>The answer, which is that of a worker without a node.</summary>
    private async Task<int[]> CompareAsync(WorkerHost worker, int[] prompt)
    {
        var expected = await SeededRequests.TokensAsync(_plain.Worker.Generator, Request(prompt) with { Sequence = null });
        var answer = await SeededRequests.TokensAsync(worker.Worker.Generator, Request(prompt));
        Assert.Equal(expected, answer);
        return answer;
    }

    private async Task<SequenceInfo> FindAsync() => (await _client.Sequences.FindAsync(Name, default)).Sequence ?? throw new InvalidOperationException($"There is no sequence {Name}.");
}
