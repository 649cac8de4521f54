using KvMesh.Cluster.Scheduling;

namespace KvMesh.Cluster.Tests.Scheduling;

public sealed class OrderGateTests
{
    [Fact]
    public void Orders_of_a_deposed_scheduler_are_ignored()
    {
        var gate = new OrderGate();

        Assert.True(gate.Validate(7));
        Assert.True(gate.Validate(7));
        Assert.True(gate.Validate(9));
        Assert.False(gate.Validate(8));
        Assert.False(gate.Validate(7));
        Assert.True(gate.Validate(9));
    }

    [Fact]
    public void A_token_that_the_store_told_deposes_the_one_before_it()
    {
        var gate = new OrderGate();
        Assert.True(gate.Validate(3));

        gate.Observe(4);

        Assert.False(gate.Validate(3));
        Assert.Equal(4, gate.Highest);
    }

    [Fact]
    public void No_token_gives_no_orders() => Assert.False(new OrderGate().Validate(0));
}
