using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Scheduling;
using KvMesh.Orleans.Tests.Sequences;
using KvMesh.TestKit;
using KvMesh.TestKit.Coordination;

namespace KvMesh.Orleans.Tests.Scheduling;

/// <summary>The lease that a grain gives out keeps the contract. Each test has a cluster of its own: a cluster has one lease.</summary>
public sealed class OrleansSchedulerLeaseTests : SharedSchedulerLeaseContract, IAsyncLifetime
{
    private readonly SiloPair _silos = new();

    public Task InitializeAsync() => _silos.InitializeAsync();

    public Task DisposeAsync() => _silos.DisposeAsync();

    [Fact]
    public async Task A_silo_that_stops_takes_neither_the_holder_nor_the_token_with_it()
    {
        // The grain is where it was first asked for.
        var orders = new OrderGate();
        var earlier = _silos.LeaseOf(0, NodeId.Parse("c"), orders, TimeSpan.FromHours(1));
        Assert.True((await earlier.HoldAsync(CancellationToken.None)).IsHeld);
        await earlier.ReleaseAsync(CancellationToken.None);
        var holder = _silos.LeaseOf(1, NodeId.Parse("a"), orders, TimeSpan.FromHours(1));
        var first = await holder.HoldAsync(CancellationToken.None);
        await _silos.StopFirstAsync();
        LeaseHolding again = default;

        await Eventually.Holds(async () => (again = await holder.HoldAsync(CancellationToken.None)).IsHeld, "the lease at the silo that is left");

        Assert.Equal(first, again);
        Assert.False((await _silos.LeaseOf(1, NodeId.Parse("b"), orders, TimeSpan.FromHours(1)).HoldAsync(CancellationToken.None)).IsHeld);
    }

    /// <summary>Neighbours in the alphabet ask different silos.</summary>
    protected override ISchedulerLease Create(NodeId self, OrderGate orders, TimeSpan duration) => _silos.LeaseOf(self.Value[^1] % 2, self, orders, duration);
}
