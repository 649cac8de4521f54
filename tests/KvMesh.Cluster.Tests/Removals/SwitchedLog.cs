using System.Collections.Immutable;
using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Removals;

namespace KvMesh.Cluster.Tests.Removals;

/// <summary>A log that can be silent for some nodes, and lose everything.</summary>
internal sealed class SwitchedLog(TimeProvider time) : IRemovalLog
{
    private EmbeddedRemovalLog _log = new(time);

    public event Action? Changed;

    public bool IsSilent { get; set; }

    public string Description => "the test";

    public void LoseEverything() => _log = new EmbeddedRemovalLog(time);

    public ValueTask<long> PurgeAsync(PurgeScope scope, string origin, long above, CancellationToken cancellationToken) =>
        Answering().PurgeAsync(scope, origin, above, cancellationToken);

    public ValueTask<long> RemoveAsync(IReadOnlyList<RemovedKey> keys, string origin, long above, CancellationToken cancellationToken) =>
        Answering().RemoveAsync(keys, origin, above, cancellationToken);

    public ValueTask<RemovalPage> ReadAsync(RemovalQuestion question, CancellationToken cancellationToken) =>
        Answering().ReadAsync(question, cancellationToken);

    public ValueTask RestoreAsync(string lineage, IReadOnlyList<NumberedPurge> purges, long reached, CancellationToken cancellationToken) =>
        Answering().RestoreAsync(lineage, purges, reached, cancellationToken);

    public ValueTask<ImmutableArray<long>> ProgressAsync(IReadOnlyList<NodeId> nodes, CancellationToken cancellationToken) =>
        Answering().ProgressAsync(nodes, cancellationToken);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private EmbeddedRemovalLog Answering()
    {
        Changed?.Invoke();
        return IsSilent ? throw new StoreSilentException("The test keeps it silent.") : _log;
    }
}
