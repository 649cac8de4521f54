using KvMesh.Cluster.Membership;
using KvMesh.TestKit;
using KvMesh.TestKit.Coordination;

namespace KvMesh.Cluster.Tests.Membership;

public sealed class EmbeddedMembershipStoreTests : MembershipStoreContract, IAsyncDisposable
{
    private readonly SimulatedClock _clock = new();
    private readonly EmbeddedMembershipStore _store;

    public EmbeddedMembershipStoreTests() => _store = new EmbeddedMembershipStore("test", _clock);

    protected override IMembershipStore Connect() => _store;

    public ValueTask DisposeAsync() => _store.DisposeAsync();

    protected override void PassTime(TimeSpan time) => _clock.Advance(time);
}
