using KvMesh.Cluster.Placement.Nodes;
using KvMesh.Protocol.Placement;
using KvMesh.TestKit;

namespace KvMesh.Cluster.Tests.Placement.Nodes;

/// <summary>What a scheduler had kept is let go for its successor, but nothing that the successor has kept itself.</summary>
public sealed class HeldRunsTests
{
    private static readonly TimeSpan Duration = TimeSpan.FromMinutes(10);

    private readonly HeldRuns _runs = new(new SimulatedClock());

    [Fact]
    public void Ends_what_only_an_earlier_scheduler_kept()
    {
        _runs.Note(Run(token: 1, 1, 2, 3));
        Assert.Equal([1, 2, 3], EndEarlier(token: 2));
        Assert.Empty(EndEarlier(token: 2));
    }

    [Fact]
    public void Leaves_blocks_that_the_successor_keeps_in_another_run()
    {
        _runs.Note(Run(token: 1, 1, 2, 3));
        _runs.Note(Run(token: 2, 1, 2));
        Assert.Equal([3], EndEarlier(token: 2));
    }

    [Fact]
    public async Task Who_keeps_blocks_while_they_are_let_go_keeps_them_afterwards()
    {
        _runs.Note(Run(token: 1, 1, 2, 3));
        var order = new List<string>();
        Task? keeping = null;
        _runs.EndEarlier("t", 2, key =>
        {
            // The next one has its say when all of these are gone: it cannot lose what it keeps to the rest of them.
            keeping ??= Task.Run(() =>
            {
                _runs.Note(Run(token: 2, 1, 2, 3));
                order.Add("kept");
            });
            order.Add($"ended {key.Span[0]}");
        });
        await keeping!.Within("the end of the note");

        Assert.Equal(["ended 1", "ended 2", "ended 3", "kept"], order);
        Assert.Empty(EndEarlier(token: 2));
    }

    private static HoldRequest Run(long token, params byte[] keys) => new(token, Duration, "t", [.. keys.Select(key => new ReadOnlyMemory<byte>([key]))]);

    private List<int> EndEarlier(long token)
    {
        var ended = new List<int>();
        _runs.EndEarlier("t", token, key => ended.Add(key.Span[0]));
        return ended;
    }
}
