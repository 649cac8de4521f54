using KvMesh.Cluster.Removals;
using KvMesh.TestKit.Coordination;

namespace KvMesh.Cluster.Tests.Removals;

public sealed class EmbeddedRemovalLogTests : RemovalLogContract, IAsyncDisposable
{
    private readonly EmbeddedRemovalLog _log = new(TimeProvider.System);

    public ValueTask DisposeAsync() => _log.DisposeAsync();

    protected override IRemovalLog Connect() => _log;
}
