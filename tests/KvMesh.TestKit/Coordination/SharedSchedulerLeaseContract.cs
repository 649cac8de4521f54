using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Scheduling;

namespace KvMesh.TestKit.Coordination;

/// <summary>What a scheduler lease promises besides where several nodes contend for it.</summary>
public abstract class SharedSchedulerLeaseContract : SchedulerLeaseContract
{
    [Fact]
    public async Task One_of_many_holds_it_and_the_others_know_who()
    {
        var contenders = Enumerable.Range(0, 8).Select(number => Create(NodeId.Parse($"n{number}"), new OrderGate(), TimeSpan.FromHours(1))).ToList();

        var holdings = await Task.WhenAll(contenders.Select(lease => lease.HoldAsync(CancellationToken.None).AsTask()));

        var held = Assert.Single(holdings, holding => holding.IsHeld);
        Assert.All(holdings, holding => Assert.Equal((held.Token, held.Holder), (holding.Token, holding.Holder)));
    }

    [Fact]
    public async Task It_runs_out_when_the_holder_says_nothing()
    {
        var orders = new OrderGate();
        var first = await Create(NodeId.Parse("a"), orders, TimeSpan.FromMilliseconds(50)).HoldAsync(CancellationToken.None);
        var other = Create(NodeId.Parse("b"), orders, TimeSpan.FromMilliseconds(50));
        LeaseHolding second = default;

        await Eventually.Holds(async () => (second = await other.HoldAsync(CancellationToken.None)).IsHeld, "the lease in other hands");

        Assert.True(second.Token > first.Token);
        Assert.False(orders.Validate(first.Token));
    }

    /// <summary>A node's lease that runs out after so long without a word of its holder.</summary>
    protected abstract ISchedulerLease Create(NodeId self, OrderGate orders, TimeSpan duration);

    protected sealed override ISchedulerLease Create(NodeId self, OrderGate orders) => Create(self, orders, TimeSpan.FromHours(1));
}
