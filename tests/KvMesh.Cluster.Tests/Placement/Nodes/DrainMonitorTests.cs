using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Placement.Nodes;
using KvMesh.Cluster.Tests.Placement.Scheduler;
using KvMesh.Protocol.Placement;
using KvMesh.TestKit;

namespace KvMesh.Cluster.Tests.Placement.Nodes;

public sealed class DrainMonitorTests : IAsyncLifetime
{
    private readonly Fleet _fleet = Fleet.Of("a", "b");
    private readonly MemoryOfDrain _memory = new();
    private readonly SimulatedClock _clock = new();
    private readonly List<NodeState> _told = [];

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await _fleet.DisposeAsync();

    [Fact]
    public async Task What_an_operator_asked_for_goes_on_after_a_restart_since_when_it_was_asked()
    {
        _fleet["a"].Blocks.Put(new byte[] { 1 });
        var since = 0L;
        await using (var first = Monitor())
        {
            Assert.False(first.Resume());
            since = first.Begin().Since;
        }

        _clock.Advance(TimeSpan.FromHours(1));
        _told.Clear();
        await using var second = Monitor();

        Assert.True(second.Resume());
        Assert.Equal((DrainAnswer.Draining, since), (second.Answer.State, second.Answer.Since));
        Assert.Equal([NodeState.Draining], _told);
        Assert.Equal(since, second.Begin().Since);
    }

    [Fact]
    public async Task One_that_was_taken_back_is_forgotten()
    {
        await using (var first = Monitor())
        {
            first.Begin();
            Assert.Equal(DrainAnswer.Active, first.End().State);
        }

        await using var second = Monitor();

        Assert.False(second.Resume());
        Assert.Equal(DrainAnswer.Active, second.Answer.State);
    }

    [Fact]
    public async Task A_stop_is_no_drain_of_the_next_run()
    {
        await using (var first = Monitor())
        {
            first.BeginLeaving();
            Assert.NotEqual(DrainAnswer.Active, first.Answer.State);
        }

        await using var second = Monitor();

        Assert.False(second.Resume());
    }

    [Fact]
    public async Task A_node_that_cannot_remember_drains_and_says_so()
    {
        _memory.IsBroken = true;
        await using var monitor = Monitor();

        Assert.NotEqual(DrainAnswer.Active, monitor.Begin().State);
        await Eventually.Holds(() => monitor.Answer.Message.Contains("a restart would not know", StringComparison.Ordinal), "the warning in its answer");
        Assert.Contains("a restart would not know", monitor.End().Message, StringComparison.Ordinal);

        _memory.IsBroken = false;
        Assert.Equal("", monitor.End().Message);
    }

    private DrainMonitor Monitor() => new(_fleet["a"].Blocks, _fleet["a"], _fleet["a"], _told.Add, _memory, _clock);
}
