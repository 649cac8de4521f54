using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Scheduling;

namespace KvMesh.TestKit.Coordination;

/// <summary>What every scheduler lease promises.</summary>
public abstract class SchedulerLeaseContract
{
    private static readonly CancellationToken None = CancellationToken.None;

    protected abstract ISchedulerLease Create(NodeId self, OrderGate orders);

    [Fact]
    public async Task The_holder_keeps_its_token_while_it_holds_on()
    {
        var orders = new OrderGate();
        await using var lease = Create(NodeId.Parse("a"), orders);

        var first = await lease.HoldAsync(None);
        var second = await lease.HoldAsync(None);

        Assert.True(first.IsHeld);
        Assert.True(first.Token > 0);
        Assert.Equal(first, second);
        Assert.Equal(NodeId.Parse("a"), first.Holder);
        Assert.True(orders.Validate(first.Token));
    }

    [Fact]
    public async Task A_new_term_has_a_higher_token_and_deposes_the_one_before()
    {
        var orders = new OrderGate();
        await using var lease = Create(NodeId.Parse("a"), orders);
        var first = await lease.HoldAsync(None);

        await lease.ReleaseAsync(None);
        var second = await lease.HoldAsync(None);

        Assert.True(second.Token > first.Token);
        Assert.False(orders.Validate(first.Token));
        Assert.True(orders.Validate(second.Token));
    }

    [Fact]
    public async Task A_token_is_above_what_the_node_has_met()
    {
        var orders = new OrderGate();
        orders.Observe(long.MaxValue >> 12);
        await using var lease = Create(NodeId.Parse("a"), orders);

        Assert.True((await lease.HoldAsync(None)).Token > long.MaxValue >> 12);
    }
}
