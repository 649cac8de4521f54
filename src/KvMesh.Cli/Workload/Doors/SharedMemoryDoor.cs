using KvMesh.Client;

namespace KvMesh.Cli.Workload.Doors;

/// <summary>The native protocol with shared memory: blocks are read and checked where they lie, and written through staging memory.</summary>
internal sealed class SharedMemoryDoor(KvMeshClient client, WorkloadKeys keys, int batchBlocks) : IWorkloadDoor
{
    private readonly NativeDoor _native = new(client, keys, batchBlocks);

    public ValueTask<int> MatchAsync(ReadOnlyMemory<byte> hashes, CancellationToken cancellationToken) => _native.MatchAsync(hashes, cancellationToken);

    public async ValueTask ReadAsync(BlockBatch batch, CancellationToken cancellationToken)
    {
        var index = 0;
        await foreach (var leased in client.LeaseManyAsync(keys.Scope, batch.Hashes, cancellationToken))
        {
            batch.Outcomes[index] = BlockOutcome.Skipped;
            if (leased is not null)
            {
                Read(batch, index, leased);
            }

            index++;
        }
    }

    public ValueTask WriteAsync(BlockBatch batch, CancellationToken cancellationToken) => _native.WriteAsync(batch, cancellationToken);

    public ValueTask DisposeAsync() => _native.DisposeAsync();

    private static void Read(BlockBatch batch, int index, LeasedBlock leased)
    {
        batch.Accept(index, leased.Span);

        // What was read counts only if the block did not move meanwhile; else it was a miss, whatever the bytes were.
        if (!leased.Release())
        {
            batch.Outcomes[index] = BlockOutcome.Skipped;
        }
    }
}
