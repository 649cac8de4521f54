using KvMesh.Client;

namespace KvMesh.Cli.Workload.Doors;

/// <summary>The native protocol over TCP: a prefix match, then blocks in batches, into and out of memory of our own.</summary>
internal sealed class NativeDoor(KvMeshClient client, WorkloadKeys keys, int batchBlocks) : IWorkloadDoor
{
    /// <summary>Long enough to read the longest prompt at the slowest rate we care about.</summary>
    internal static readonly TimeSpan MatchLease = TimeSpan.FromSeconds(10);

    private readonly GetResult[] _reads = new GetResult[batchBlocks];
    private readonly PutStatus[] _writes = new PutStatus[batchBlocks];

    public async ValueTask<int> MatchAsync(ReadOnlyMemory<byte> hashes, CancellationToken cancellationToken) =>
        hashes.IsEmpty ? 0 : (await client.MatchPrefixAsync(keys.Scope, hashes, MatchLease, cancellationToken)).Blocks;

    public async ValueTask ReadAsync(BlockBatch batch, CancellationToken cancellationToken)
    {
        var results = _reads.AsMemory(0, batch.Count);
        await client.GetManyAsync(keys.Scope, batch.Hashes, batch.Buffer, batch.BlockBytes, results, cancellationToken);
        for (var i = 0; i < batch.Count; i++)
        {
            var (status, bytes) = results.Span[i];
            if (status is GetStatus.Hit or GetStatus.TooSmall)
            {
                batch.Accept(i, status == GetStatus.Hit ? batch.SlotOf(i).Span[..bytes] : default);
            }
            else
            {
                batch.Outcomes[i] = status == GetStatus.Miss ? BlockOutcome.Skipped : BlockOutcome.Failed;
            }
        }
    }

    public async ValueTask WriteAsync(BlockBatch batch, CancellationToken cancellationToken)
    {
        var results = _writes.AsMemory(0, batch.Count);
        var payloads = batch.Count == batch.Capacity ? batch.Payloads : [.. batch.Payloads.Take(batch.Count)];
        await client.PutManyAsync(keys.Scope, batch.Hashes, batch.ParentHash, payloads, results, cancellationToken);
        for (var i = 0; i < batch.Count; i++)
        {
            batch.Outcomes[i] = OutcomeOf(results.Span[i]);
        }
    }

    public ValueTask DisposeAsync() => client.DisposeAsync();

    internal static BlockOutcome OutcomeOf(PutStatus status) => status switch
    {
        PutStatus.Stored => BlockOutcome.Done,
        PutStatus.AlreadyPresent => BlockOutcome.Skipped,
        PutStatus.Full => BlockOutcome.Refused,
        _ => BlockOutcome.Failed,
    };
}
