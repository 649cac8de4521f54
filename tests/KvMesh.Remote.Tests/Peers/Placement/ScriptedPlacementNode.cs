using System.Collections.Concurrent;
using KvMesh.Cluster.Placement.Nodes;
using KvMesh.Protocol.Placement;

namespace KvMesh.Remote.Tests.Peers.Placement;

/// <summary>Answers what a test expects, and remembers what it was asked.</summary>
internal sealed class ScriptedPlacementNode : IPlacementNode
{
    public static readonly NodeReport Told = new()
    {
        HighestToken = 9,
        State = 2,
        WasPaused = true,
        CapacityBytes = 5,
        FreeBytes = 4,
        InBytesPerSecond = 3,
        OutBytesPerSecond = 2,
        Utilisation = 0.25,
    };

    public static readonly DrainAnswer Draining = new()
    {
        State = DrainAnswer.Draining,
        Runs = 2,
        Since = 17,
        Blocks = 40,
        BlocksLeft = 30,
        BytesLeft = 3_000,
        Message = "so far",
    };

    public ConcurrentQueue<object> Asked { get; } = new();

    public NodeReport Report(NodeReportRequest request) => Note(request, Told);

    public OrderAnswer Give(OrderGiveRequest request) => Note(request, new OrderAnswer(OrderVerdict.Full, 11));

    public OrderAnswer Cancel(OrderCancelRequest request) => Note(request, new OrderAnswer(OrderVerdict.Unknown, 12));

    public IReadOnlyList<OrderProgress> Progress(OrderProgressRequest request) =>
        Note(request, request.Ids.Select(id => new OrderProgress(id, 3, 4, 5_000, "x")).ToArray());

    public ChainAnswer Chain(ChainRequest request) => Note(request, new ChainAnswer([new byte[] { 1 }, request.Tail], 77));

    public HoldAnswer Hold(HoldRequest request) => Note(request, new HoldAnswer(OrderVerdict.Taken, request.Keys.Count, 13));

    public DrainAnswer Drain(DrainRequest request) => Note(request, Draining);

    public LeavingRun Leaving(LeavingRequest request) => Note(request, request.Index == 0 ? new LeavingRun("t", 55, [new byte[] { 5 }]) : LeavingRun.None);

    private T Note<T>(object request, T answer)
    {
        Asked.Enqueue(request);
        return answer;
    }
}
