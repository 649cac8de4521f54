using KvMesh.Cluster.Sequences;
using KvMesh.Protocol.Sequences;

namespace KvMesh.Orleans.Sequences;

/// <summary>Sequences whose heads are owned by grains, one a sequence. Rows are read, and tenants kept, where <paramref name="store"/> keeps them.</summary>
/// <param name="grains">The grains of the cluster, as the silo of this process reaches them; null: it is in none now.</param>
/// <param name="store">The store that the grains of all silos write to. Owned by the caller.</param>
public sealed class OrleansSequenceStore(Func<IGrainFactory?> grains, ISequenceStore store) : ISequenceStore
{
    public async ValueTask<StoredHead> ReadAsync(SequenceId id, CancellationToken cancellationToken) =>
        Understand(await AskAsync(id, grain => grain.ReadAsync(), cancellationToken).ConfigureAwait(false), null);

    public async ValueTask<StoredHead> WriteAsync(SequenceId id, SequenceWrite write, CancellationToken cancellationToken)
    {
        var step = new HeadWrite
        {
            Head = SequenceHeadFormat.Write(write.Head),
            ExpectedVersion = write.ExpectedVersion,
            ExpectedStamp = write.ExpectedStamp,
            Rows = SegmentRow.WriteAll(write.NewRows.Span),
            FirstNewRow = write.FirstNewRow,
            KeepUntil = write.KeepUntil,
            Now = write.Now,
        };
        return Understand(await AskAsync(id, grain => grain.WriteAsync(step), cancellationToken).ConfigureAwait(false), write.Head);
    }

    public ValueTask<StoredRows> ReadRowsAsync(SequenceId id, ulong rowsId, int first, int count, CancellationToken cancellationToken) =>
        store.ReadRowsAsync(id, rowsId, first, count, cancellationToken);

    public ValueTask<StoredRows> FindRowAsync(SequenceId id, ulong rowsId, int rows, long block, CancellationToken cancellationToken) =>
        store.FindRowAsync(id, rowsId, rows, block, cancellationToken);

    public ValueTask<StoredNames> ListAsync(string tenant, string after, int count, CancellationToken cancellationToken) =>
        store.ListAsync(tenant, after, count, cancellationToken);

    public ValueTask<StoredNames> ListTenantsAsync(CancellationToken cancellationToken) => store.ListTenantsAsync(cancellationToken);

    public ValueTask<TenantShare> ReportAsync(TenantReport report, CancellationToken cancellationToken) => store.ReportAsync(report, cancellationToken);

    /// <summary>A silo that is gone, or does not answer within the cluster's limit, is a store that does not answer.</summary>
    private async ValueTask<HeadReply> AskAsync(SequenceId id, Func<ISequenceGrain, Task<HeadReply>> call, CancellationToken cancellationToken)
    {
        try
        {
            return grains()?.GetGrain<ISequenceGrain>(id.ToString()) is not { } grain
                ? new HeadReply { Status = HeadStatus.Unavailable, Text = "The silo of this node has not joined its cluster." }
                : await call(grain).WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is OrleansException or TimeoutException or ObjectDisposedException)
        {
            return new HeadReply { Status = HeadStatus.Unavailable, Text = $"The owner of the sequence does not answer: {failure.Message}" };
        }
    }

    private static StoredHead Understand(HeadReply reply, SequenceHead? written)
    {
        if (reply.Status == HeadStatus.Unavailable)
        {
            return new StoredHead(StoreStatus.Unavailable, null, reply.Text);
        }

        var status = reply.Status == HeadStatus.Conflict ? StoreStatus.Conflict : StoreStatus.Ok;
        if (status == StoreStatus.Ok && written is not null)
        {
            return new StoredHead(status, written);
        }

        return reply.Head.Length == 0 ? new StoredHead(status, null)
            : SequenceHeadFormat.TryRead(reply.Head) is { } head ? new StoredHead(status, head)
            : new StoredHead(StoreStatus.Unavailable, null, "The head of the sequence is in a format that this version of the program cannot read.");
    }
}
