using KvMesh.Cluster.Sequences;

namespace KvMesh.Orleans.Tests.Sequences;

/// <summary>Counts how often heads are read.</summary>
internal sealed class CountedStore(ISequenceStore store) : ISequenceStore
{
    private int _reads;

    public int Reads => Volatile.Read(ref _reads);

    public ValueTask<StoredHead> ReadAsync(SequenceId id, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _reads);
        return store.ReadAsync(id, cancellationToken);
    }

    public ValueTask<StoredHead> WriteAsync(SequenceId id, SequenceWrite write, CancellationToken cancellationToken) => store.WriteAsync(id, write, cancellationToken);

    public ValueTask<StoredRows> ReadRowsAsync(SequenceId id, ulong rowsId, int first, int count, CancellationToken cancellationToken) =>
        store.ReadRowsAsync(id, rowsId, first, count, cancellationToken);

    public ValueTask<StoredRows> FindRowAsync(SequenceId id, ulong rowsId, int rows, long block, CancellationToken cancellationToken) =>
        store.FindRowAsync(id, rowsId, rows, block, cancellationToken);

    public ValueTask<StoredNames> ListAsync(string tenant, string after, int count, CancellationToken cancellationToken) => store.ListAsync(tenant, after, count, cancellationToken);

    public ValueTask<StoredNames> ListTenantsAsync(CancellationToken cancellationToken) => store.ListTenantsAsync(cancellationToken);

    public ValueTask<TenantShare> ReportAsync(TenantReport report, CancellationToken cancellationToken) => store.ReportAsync(report, cancellationToken);
}
