using KvMesh.Simulation.Traces;

namespace KvMesh.Cli.Workload;

/// <summary>
/// One engine of the workload: for each prompt it asks how much of it the node has, reads and checks all of that, and writes the
/// rest in order. A partial block at the end counts as asked and is never written.
/// </summary>
internal sealed class WorkloadClient
{
    private const int BatchBytes = 8 * 1024 * 1024;
    private const int MaxBatchBlocks = 64;

    private readonly IWorkloadDoor _door;
    private readonly TimeProvider _time;
    private readonly BlockBatch _reads;
    private readonly BlockBatch _writes;
    private byte[] _hashes = new byte[64 * 32];

    /// <param name="endpoints">Nodes behind the door.</param>
    public WorkloadClient(IWorkloadDoor door, WorkloadKeys keys, TimeProvider time, int endpoints = 1)
    {
        Tally = new WorkloadTally(endpoints);
        _door = door;
        _time = time;
        _reads = new BlockBatch(keys, BatchBlocksFor(keys.BlockBytes));
        _writes = new BlockBatch(keys, BatchBlocksFor(keys.BlockBytes));
    }

    public WorkloadTally Tally { get; }

    /// <summary>Blocks that one step reads or writes: enough to keep eight connections busy, without holding much memory.</summary>
    public static int BatchBlocksFor(int blockBytes) => Math.Clamp(BatchBytes / blockBytes, 8, MaxBatchBlocks);

    /// <exception cref="IOException">The node is lost.</exception>
    public async ValueTask ServeAsync(PromptRequest request, CancellationToken cancellationToken)
    {
        var chain = request.HashInto(ref _hashes);
        var started = _time.GetTimestamp();
        var matched = Math.Min(await _door.MatchAsync(chain, cancellationToken), request.FullBlocks);
        Tally.Match.Record(_time.GetElapsedTime(started));

        var hits = await ReadAsync(chain, matched, cancellationToken);
        Tally.CountRequest(request.BlockIds.Length, hits, _door.Endpoint);
        await WriteAsync(chain, hits, request.FullBlocks, cancellationToken);
    }

    /// <summary>Reads what matched. Returns the blocks that arrived before the first one that did not.</summary>
    private async ValueTask<int> ReadAsync(ReadOnlyMemory<byte> chain, int matched, CancellationToken cancellationToken)
    {
        var hits = 0;
        var spent = TimeSpan.Zero;
        for (var first = 0; first < matched; first += _reads.Count)
        {
            _reads.Select(chain, first, Math.Min(_reads.Capacity, matched - first));
            _reads.Poison();
            var started = _time.GetTimestamp();
            await _door.ReadAsync(_reads, cancellationToken);
            spent += _time.GetElapsedTime(started);
            Tally.CountRead(_reads);
            if (hits == first)
            {
                var missing = _reads.Outcomes.IndexOfAnyExcept(BlockOutcome.Done);
                hits += missing < 0 ? _reads.Count : missing;
            }
        }

        if (matched > 0)
        {
            Tally.Read.Record(spent);
        }

        return hits;
    }

    private async ValueTask WriteAsync(ReadOnlyMemory<byte> chain, int first, int end, CancellationToken cancellationToken)
    {
        var spent = TimeSpan.Zero;
        for (var next = first; next < end; next += _writes.Count)
        {
            _writes.Select(chain, next, Math.Min(_writes.Capacity, end - next));
            _writes.Fill();
            var started = _time.GetTimestamp();
            await _door.WriteAsync(_writes, cancellationToken);
            spent += _time.GetElapsedTime(started);
            Tally.CountWrite(_writes);
        }

        if (first < end)
        {
            Tally.Write.Record(spent);
        }
    }
}
