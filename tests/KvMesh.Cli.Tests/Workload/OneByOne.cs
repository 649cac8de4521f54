using KvMesh.Cli.Hosting;
using KvMesh.Cli.Workload;

namespace KvMesh.Cli.Tests.Workload;

/// <summary>Doors that read and write one block after the other, so that commands reach the node in the order of the chain.</summary>
internal sealed class OneByOne(IDoorSource source) : IDoorSource
{
    public int Endpoints => source.Endpoints;

    public async ValueTask<IWorkloadDoor> OpenAsync(WorkloadKeys keys, string clientName, CancellationToken cancellationToken) =>
        new Door(await source.OpenAsync(keys, clientName, cancellationToken), new BlockBatch(keys, 1));

    private sealed class Door(IWorkloadDoor door, BlockBatch one) : IWorkloadDoor
    {
        public int Endpoint => door.Endpoint;

        public ValueTask<int> MatchAsync(ReadOnlyMemory<byte> hashes, CancellationToken cancellationToken) => door.MatchAsync(hashes, cancellationToken);

        public async ValueTask ReadAsync(BlockBatch batch, CancellationToken cancellationToken)
        {
            for (var index = 0; index < batch.Count; index++)
            {
                one.Select(batch.Hashes, index, 1);
                one.Poison();
                await door.ReadAsync(one, cancellationToken);
                batch.Outcomes[index] = one.Outcomes[0];
                if (one.Outcomes[0] == BlockOutcome.Done)
                {
                    batch.Accept(index, one.SlotOf(0).Span);
                }
            }
        }

        public async ValueTask WriteAsync(BlockBatch batch, CancellationToken cancellationToken)
        {
            for (var index = 0; index < batch.Count; index++)
            {
                one.Select(batch.Hashes, index, 1);
                batch.SlotOf(index).CopyTo(one.SlotOf(0));
                await door.WriteAsync(one, cancellationToken);
                batch.Outcomes[index] = one.Outcomes[0];
            }
        }

        public ValueTask DisposeAsync() => door.DisposeAsync();
    }
}
