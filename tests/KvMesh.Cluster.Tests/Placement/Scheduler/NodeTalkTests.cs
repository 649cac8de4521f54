using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Placement;
using KvMesh.Cluster.Placement.Scheduler;
using KvMesh.TestKit;

namespace KvMesh.Cluster.Tests.Placement.Scheduler;

public sealed class NodeTalkTests
{
    private static readonly TimeSpan CallTimeout = TimeSpan.FromSeconds(20);
    private static readonly NodeRecord Node = new() { Id = NodeId.Parse("b"), Incarnation = 1, NativeAddress = "127.0.0.1:1" };

    private readonly SimulatedClock _clock = new();
    private readonly NodeTalk _talk;
    private int _asked;

    /// <summary>The questions of these tests need no connection.</summary>
    public NodeTalkTests() => _talk = new NodeTalk(NodeId.Parse("a"), null!, null!, new PlacementServiceOptions { CallTimeout = CallTimeout }, _clock);

    [Fact]
    public async Task A_node_that_refuses_at_once_is_asked_again_soon()
    {
        Assert.False(await AskAsync(takes: TimeSpan.Zero));
        Assert.False(await AskAsync(takes: TimeSpan.Zero));
        Assert.Equal(1, _asked);

        _clock.Advance(TimeSpan.FromSeconds(1));
        Assert.True(await AskAsync(takes: null));
        Assert.Equal(2, _asked);
    }

    [Fact]
    public async Task A_node_that_hangs_costs_one_deadline_and_is_left_alone_for_five()
    {
        Assert.False(await AskAsync(takes: CallTimeout));
        _clock.Advance((5 * CallTimeout) - TimeSpan.FromSeconds(1));
        Assert.False(await AskAsync(takes: null));
        Assert.Equal(1, _asked);

        _clock.Advance(TimeSpan.FromSeconds(1));
        Assert.True(await AskAsync(takes: null));
        Assert.True(await AskAsync(takes: null));
        Assert.Equal(3, _asked);
    }

    /// <param name="takes">How long the node says nothing; null: it answers.</param>
    private async Task<bool> AskAsync(TimeSpan? takes)
    {
        var (isAnswered, _, _) = await _talk.AskAsync(
            Node,
            _ => 1,
            (_, _, _) =>
            {
                _asked++;
                _clock.Advance(takes ?? TimeSpan.Zero);
                return takes is null ? ValueTask.FromResult(1) : throw new NodeSilentException("It says nothing.");
            },
            CancellationToken.None);
        return isAnswered;
    }
}
