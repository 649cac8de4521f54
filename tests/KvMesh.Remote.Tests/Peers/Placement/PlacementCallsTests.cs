using System.Net;
using System.Net.Sockets;
using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Placement.Scheduler;
using KvMesh.Protocol.Placement;
using KvMesh.Remote.Peers.Placement;
using KvMesh.Remote.Tests.Peers.Feed;
using KvMesh.TestKit;

namespace KvMesh.Remote.Tests.Peers.Placement;

/// <summary>What the node that plans asks another one, over the real native door, and what becomes of nodes that do not answer as they should.</summary>
public sealed class PlacementCallsTests : IAsyncLifetime, IDisposable
{
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(300);
    private static readonly CancellationToken None = CancellationToken.None;
    private static readonly ReadOnlyMemory<byte>[] Keys = [new byte[] { 1, 2 }, new byte[] { 3 }];

    private readonly ScriptedPlacementNode _placement = new();
    private readonly ViewSource _views = new(NodeId.Parse("self"));
    private readonly PlacementCalls _calls;
    private MapNode _node = null!;

    public PlacementCallsTests() => _calls = new PlacementCalls(PeerCredential.None, _views, TimeProvider.System);

    public Task InitializeAsync()
    {
        _node = new MapNode(1);
        _node.Door.Placement = _placement;
        _views.Show(new ClusterView(1, [_node.Record], isFrozen: false));
        return Task.CompletedTask;
    }

    public async Task DisposeAsync() => await _node.DisposeAsync();

    public void Dispose() => _calls.Dispose();

    [Fact]
    public async Task Every_question_reaches_the_node_and_its_answer_comes_back()
    {
        var node = _node.Record;
        var patience = Eventually.Patience;

        var report = await _calls.ReportAsync(node, new NodeReportRequest(7, true), patience, None);
        Assert.Equal($"{ScriptedPlacementNode.Told with { Wanted = [], Sessions = [] }}", $"{report with { Wanted = [], Sessions = [] }}");
        Assert.Equal(new OrderAnswer(OrderVerdict.Full, 11), await _calls.GiveAsync(node, new OrderGiveRequest(7, 3, 2, "t", Keys), patience, None));
        Assert.Equal(new OrderAnswer(OrderVerdict.Unknown, 12), await _calls.CancelAsync(node, new OrderCancelRequest(7, 3), patience, None));
        var progress = await _calls.ProgressAsync(node, new OrderProgressRequest(7, [3, 4]), patience, None);
        Assert.Equal([new OrderProgress(3, 3, 4, 5_000, "x"), new OrderProgress(4, 3, 4, 5_000, "x")], progress);
        var chain = await _calls.ChainAsync(node, new ChainRequest("t", Keys[0], 9), patience, None);
        Assert.Equal(("01 0102", 77L), (Text(chain.Keys), chain.Bytes));
        Assert.Equal(
            new HoldAnswer(OrderVerdict.Taken, 2, 13), await _calls.HoldAsync(node, new HoldRequest(7, TimeSpan.FromMinutes(1), "t", Keys), patience, None));
        Assert.Equal(ScriptedPlacementNode.Draining, await _calls.DrainAsync(node, new DrainRequest(7, DrainAction.Begin), patience, None));
        var run = await _calls.LeavingAsync(node, new LeavingRequest(0), patience, None);
        Assert.Equal(("t", 55L, "05"), (run.Tenant, run.Bytes, Text(run.Keys)));
        Assert.Empty((await _calls.LeavingAsync(node, new LeavingRequest(1), patience, None)).Keys);

        var asked = _placement.Asked.ToArray();
        Assert.Equal(new NodeReportRequest(7, true), asked[0]);
        var order = Assert.IsType<OrderGiveRequest>(asked[1]);
        Assert.Equal((7L, 3L, (byte)2, "t", "0102 03"), (order.Token, order.Id, order.Kind, order.Tenant, Text(order.Keys)));
        Assert.Equal(new OrderCancelRequest(7, 3), asked[2]);
        Assert.Equal(TimeSpan.FromMinutes(1), Assert.IsType<HoldRequest>(asked[5]).Duration);
        Assert.Equal(new DrainRequest(7, DrainAction.Begin), asked[6]);
    }

    [Fact]
    public async Task Questions_one_after_the_other_take_one_connection()
    {
        for (var question = 0; question < 10; question++)
        {
            await _calls.ReportAsync(_node.Record, new NodeReportRequest(7, false), Eventually.Patience, None);
        }

        Assert.Single(_node.Host.Connections());
    }

    [Fact]
    public async Task Questions_at_once_have_a_connection_each_and_few_are_kept()
    {
        await Task.WhenAll(Enumerable.Range(0, 12).Select(_ => _calls.ReportAsync(_node.Record, new NodeReportRequest(7, false), Eventually.Patience, None).AsTask()));

        Assert.Equal(12, _placement.Asked.Count);
        await Eventually.Holds(() => _node.Host.Connections().Count <= 2, "the end of all connections but two");
    }

    [Fact]
    public async Task A_kept_connection_that_the_node_has_closed_costs_no_answer()
    {
        await AskAsync(_node.Record);
        foreach (var connection in _node.Host.Connections())
        {
            _node.Host.CloseConnection(connection.Id);
        }

        await Eventually.Holds(() => _node.Host.Connections().Count == 0, "the end of the connection");
        await AskAsync(_node.Record);
    }

    [Fact]
    public async Task Runs_of_nodes_that_left_the_view_are_forgotten()
    {
        using var closed = new ClosedPort();
        NodeRecord[] nodes = [.. Enumerable.Range(1, 20).Select(index => new NodeRecord
        {
            Id = NodeId.Parse($"node-{index}"), Incarnation = 1, NativeAddress = closed.Endpoint.ToString(),
        })];
        _views.Show(new ClusterView(1, [.. nodes], isFrozen: false));
        foreach (var node in nodes)
        {
            await SilentAsync(node);
        }

        Assert.Equal(20, _calls.Known);
        _views.Show(new ClusterView(2, [nodes[0], nodes[1] with { Incarnation = 2 }], isFrozen: false));
        await SilentAsync(nodes[0]);
        Assert.Equal(1, _calls.Known);
    }

    [Fact]
    public async Task A_node_that_is_gone_is_silent_and_named()
    {
        await AskAsync(_node.Record);
        await _node.KillAsync();

        var silent = await SilentAsync(_node.Record);

        Assert.StartsWith($"{_node.Id}: ", silent.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_node_that_says_nothing_is_left_at_the_limit()
    {
        using var mute = new TcpListener(IPAddress.Loopback, 0);
        mute.Start();

        var record = new NodeRecord { Id = NodeId.Parse("mute"), NativeAddress = mute.LocalEndpoint.ToString()! };
        var message = "";

        // On a busy machine the time may be over before there is a connection, and then that is what it says.
        await Eventually.Holds(
            async () => (message = (await SilentAsync(record, Short)).Message).Contains("did not answer within 0.3 s", StringComparison.Ordinal),
            () => $"the word of the limit; it says {message}");
    }

    [Fact]
    public async Task An_answer_that_makes_no_sense_is_none()
    {
        using var odd = new ScriptedPeer(ScriptedPeer.Miss);

        var silent = await SilentAsync(new NodeRecord { Id = NodeId.Parse("odd"), NativeAddress = odd.Endpoint.ToString() });

        Assert.Contains("make no sense", silent.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_a_node_refuses_is_told_with_its_reason()
    {
        _node.Door.Placement = null;

        Assert.Contains("takes no part in placement", (await SilentAsync(_node.Record)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_wish_of_an_operator_is_refused_by_a_node_that_does_not_plan()
    {
        var silent = await Assert.ThrowsAsync<NodeSilentException>(
            async () => await _calls.DeskAsync(_node.Record, new DeskRequest(DeskAction.List, 0, "", "ann"), Eventually.Patience, None));

        Assert.Contains("does not plan placement", silent.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_address_that_is_none_is_silent_too()
    {
        var silent = await SilentAsync(new NodeRecord { Id = NodeId.Parse("lost"), NativeAddress = "nowhere" });

        Assert.StartsWith("lost: ", silent.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_caller_that_gives_up_is_not_told_that_the_node_is_silent()
    {
        using var mute = new TcpListener(IPAddress.Loopback, 0);
        mute.Start();
        using var enough = new CancellationTokenSource(Short);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await _calls.ReportAsync(
            new NodeRecord { Id = NodeId.Parse("mute"), NativeAddress = mute.LocalEndpoint.ToString()! }, new NodeReportRequest(7, false), Eventually.Patience, enough.Token));
    }

    [Fact]
    public async Task Another_run_of_a_node_is_asked_anew()
    {
        await AskAsync(_node.Record);
        var next = _node.Record with { Incarnation = 2 };
        _views.Show(new ClusterView(2, [next], isFrozen: false));
        await AskAsync(next);

        await Eventually.Holds(() => _node.Host.Connections().Count == 1, "the connection to the run before closed");
    }

    private static string Text(IEnumerable<ReadOnlyMemory<byte>> keys) => string.Join(' ', keys.Select(key => Convert.ToHexString(key.Span)));

    private async Task AskAsync(NodeRecord node) => Assert.Equal(
        ScriptedPlacementNode.Told.HighestToken, (await _calls.ReportAsync(node, new NodeReportRequest(7, false), Eventually.Patience, None)).HighestToken);

    private async Task<NodeSilentException> SilentAsync(NodeRecord node, TimeSpan? limit = null) => await Assert.ThrowsAsync<NodeSilentException>(
        async () => await _calls.ReportAsync(node, new NodeReportRequest(7, false), limit ?? Eventually.Patience, None));
}
