using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Scheduling;
using KvMesh.Orleans.Tests.Sequences;
using KvMesh.TestKit;
using KvMesh.TestKit.Coordination;

namespace KvMesh.Orleans.Tests.Scheduling;

/// <summary>The lease that a grain gives out keeps the contract. Each test has a cluster of its own: a cluster has one lease.</summary>
public sealed class OrleansSchedulerLeaseTests : SchedulerLeaseContract, IAsyncLifetime
{
    private readonly SiloPair _silos = new();

    public Task InitializeAsync() => _silos.InitializeAsync();

    public Task DisposeAsync() => _silos.DisposeAsync();

    [Fact]
    public async Task One_of_many_holds_it_and_the_others_know_who()
    {
        var contenders = Enumerable.Range(0, 8).Select(number => Create($"n{number}", new OrderGate(), TimeSpan.FromHours(1))).ToList();

        var holdings = await Task.WhenAll(contenders.Select(lease => lease.HoldAsync(CancellationToken.None).AsTask()));

        var held = Assert.Single(holdings, holding => holding.IsHeld);
        Assert.All(holdings, holding => Assert.Equal((held.Token, held.Holder), (holding.Token, holding.Holder)));
    }

    [Fact]
    public async Task It_runs_out_when_the_holder_says_nothing()
    {
        var orders = new OrderGate();
        var first = await Create("a", orders, TimeSpan.FromMilliseconds(50)).HoldAsync(CancellationToken.None);
        var other = Create("b", orders, TimeSpan.FromMilliseconds(50));
        LeaseHolding second = default;

        await Eventually.Holds(async () => (second = await other.HoldAsync(CancellationToken.None)).IsHeld, "the lease in other hands");

        Assert.True(second.Token > first.Token);
        Assert.False(orders.Validate(first.Token));
    }

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

    protected override ISchedulerLease Create(NodeId self, OrderGate orders) => Create(self.Value, orders, TimeSpan.FromHours(1));

    private ISchedulerLease Create(string node, OrderGate orders, TimeSpan duration) => _silos.LeaseOf(node.Length % 2, NodeId.Parse(node), orders, duration);
}
