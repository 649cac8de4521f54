using KvMesh.Cli.Workload;
using KvMesh.Protocol;
using KvMesh.Simulation.Traces;

namespace KvMesh.Cli.Bench;

/// <summary>
/// Measures one front door in closed loops: each client puts a chain of fresh blocks one by one, then gets them in random
/// order, then matches the whole chain, each client waiting for one answer before it asks again.
/// </summary>
internal sealed class BenchRunner
{
    private readonly IReadOnlyList<Client> _clients;
    private readonly WorkloadKeys _keys;
    private readonly TimeProvider _time;

    /// <param name="doors">One for each client.</param>
    /// <param name="keys">Names of the blocks.</param>
    /// <param name="blocks">Blocks of each client's chain.</param>
    /// <param name="time">Clock of the measurement.</param>
    public BenchRunner(IReadOnlyList<IWorkloadDoor> doors, WorkloadKeys keys, int blocks, TimeProvider time)
    {
        _keys = keys;
        _time = time;
        _clients = [.. doors.Select((door, index) => new Client(door, new BlockBatch(keys, capacity: 1), ChainOf(index, blocks), index))];
    }

    public long MismatchedBytes => _clients.Sum(client => client.MismatchedBytes);

    public long Errors => _clients.Sum(client => client.Errors);

    public string? FirstProblem => _clients.Select(client => client.FirstProblem).FirstOrDefault(problem => problem is not null);

    public Task<BenchResult> PutAsync(CancellationToken cancellationToken) => MeasureAsync(
        "put",
        _keys.BlockBytes,
        async (client, record) =>
        {
            for (var block = 0; block < client.Blocks && !cancellationToken.IsCancellationRequested; block++)
            {
                client.Batch.Select(client.Chain, block, 1);
                client.Batch.Fill();
                var started = _time.GetTimestamp();
                await client.Door.WriteAsync(client.Batch, cancellationToken);
                var took = _time.GetElapsedTime(started);
                if (client.CheckWrite())
                {
                    record(took);
                }
            }
        });

    public Task<BenchResult> GetAsync(TimeSpan duration, CancellationToken cancellationToken) => MeasureAsync(
        "get", _keys.BlockBytes, (client, record) => RepeatAsync(duration, () => GetOneAsync(client, record, cancellationToken), cancellationToken));

    public Task<BenchResult> MatchAsync(TimeSpan duration, CancellationToken cancellationToken) => MeasureAsync(
        "match", 0, (client, record) => RepeatAsync(duration, () => MatchOneAsync(client, record, cancellationToken), cancellationToken));

    private async ValueTask GetOneAsync(Client client, Action<TimeSpan> record, CancellationToken cancellationToken)
    {
        client.Batch.Select(client.Chain, client.Random.Next(client.Blocks), 1);
        client.Batch.Poison();
        var started = _time.GetTimestamp();
        await client.Door.ReadAsync(client.Batch, cancellationToken);
        var took = _time.GetElapsedTime(started);
        if (client.CheckRead())
        {
            record(took);
        }
    }

    private async ValueTask MatchOneAsync(Client client, Action<TimeSpan> record, CancellationToken cancellationToken)
    {
        var started = _time.GetTimestamp();
        var matched = await client.Door.MatchAsync(client.Chain, cancellationToken);
        var took = _time.GetElapsedTime(started);
        if (client.CheckMatch(matched))
        {
            record(took);
        }
    }

    private static ReadOnlyMemory<byte> ChainOf(int client, int blocks)
    {
        var ids = Enumerable.Range(0, blocks).Select(block => ((ulong)(client + 1) << 32) | (uint)block).ToArray();
        byte[] hashes = [];
        return new PromptRequest(0, ids, blocks).HashInto(ref hashes);
    }

    private async Task RepeatAsync(TimeSpan duration, Func<ValueTask> step, CancellationToken cancellationToken)
    {
        // Once at least: a machine that pauses here must not make it look as if nothing could be measured.
        var started = _time.GetTimestamp();
        do
        {
            await step();
        }
        while (_time.GetElapsedTime(started) < duration && !cancellationToken.IsCancellationRequested);
    }

    private async Task<BenchResult> MeasureAsync(string operation, int bytesEach, Func<Client, Action<TimeSpan>, Task> loop)
    {
        var histograms = _clients.Select(_ => new LatencyHistogram()).ToArray();
        var started = _time.GetTimestamp();
        await Task.WhenAll(_clients.Select((client, index) => Task.Run(() => loop(client, histograms[index].Record))));
        var seconds = _time.GetElapsedTime(started).TotalSeconds;
        var all = LatencyHistogram.Sum(histograms);
        return new BenchResult(
            operation, all.Count, Math.Round(seconds, 3), Math.Round(all.Count / seconds, 1), Math.Round(all.Count * (double)bytesEach / seconds / 1e9, 4),
            Percentile(50), Percentile(90), Percentile(99), Percentile(99.9), all.Max.TotalMicroseconds);

        double Percentile(double percentile) => all.Percentile(percentile).TotalMicroseconds;
    }

    private sealed class Client(IWorkloadDoor door, BlockBatch batch, ReadOnlyMemory<byte> chain, int seed)
    {
        public IWorkloadDoor Door { get; } = door;

        public BlockBatch Batch { get; } = batch;

        public ReadOnlyMemory<byte> Chain { get; } = chain;

        public Random Random { get; } = new(seed);

        public int Blocks => Chain.Length / Limits.ChainHashBytes;

        public long MismatchedBytes { get; private set; }

        public long Errors { get; private set; }

        public string? FirstProblem { get; private set; }

        /// <summary>Whether the write did what is measured: a refusal is quicker, and no result.</summary>
        public bool CheckWrite()
        {
            if (Batch.Outcomes[0] is BlockOutcome.Failed or BlockOutcome.Refused)
            {
                Errors++;
                FirstProblem ??= $"block {Batch.First} was {(Batch.Outcomes[0] == BlockOutcome.Refused ? "refused: no room" : "not stored; the token may lack the right write")}";
                return false;
            }

            return true;
        }

        public bool CheckRead()
        {
            if (Batch.Outcomes[0] != BlockOutcome.Done)
            {
                Errors++;
                FirstProblem ??= $"block {Batch.First} is not there; the chains need more RAM than the node has";
                return false;
            }

            MismatchedBytes += Batch.CheckOf(0).MismatchedBytes;
            return true;
        }

        public bool CheckMatch(int matched)
        {
            if (matched == 0)
            {
                Errors++;
                FirstProblem ??= "no block of a chain was found";
            }

            return matched > 0;
        }
    }
}
