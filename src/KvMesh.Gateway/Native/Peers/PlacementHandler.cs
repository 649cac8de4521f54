using KvMesh.Cluster.Placement;
using KvMesh.Cluster.Placement.Nodes;
using KvMesh.Gateway.Access;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Placement;

namespace KvMesh.Gateway.Native.Peers;

/// <summary>Hands what the planning node asks to this node, and what operators asked elsewhere to its desk. The right peer is needed.</summary>
internal static class PlacementHandler
{
    public static void Handle(NativeExchange exchange)
    {
        if (!exchange.Require(AccessRights.Peer))
        {
            return;
        }

        var verb = exchange.Request.Verb;
        if (exchange.Services.Peers is not { Placement: { } node } door)
        {
            exchange.Refuse(NativeStatus.Unavailable, $"{verb}: this node takes no part in placement yet.");
            return;
        }

        if (verb == Verb.Desk)
        {
            HandleDesk(exchange, door);
        }
        else if (!TryAnswer(exchange, verb, node))
        {
            exchange.Refuse(NativeStatus.BadRequest, $"{verb}: the head of {exchange.Receiver.Head.Length} bytes does not hold the fields of the verb, or one is beyond its limit.");
        }
    }

    /// <summary>False: the head makes no sense, and nothing was written.</summary>
    private static bool TryAnswer(NativeExchange exchange, Verb verb, IPlacementNode node)
    {
        var head = exchange.Receiver.Head;
        switch (verb)
        {
            case Verb.NodeReport when NodeReportRequest.TryRead(head, out var request):
                return Write(exchange, node.Report(request), static (writer, answer) => answer.Write(writer));
            case Verb.OrderGive when OrderGiveRequest.TryRead(head, out var request):
                return Write(exchange, node.Give(request), static (writer, answer) => answer.Write(writer));
            case Verb.OrderCancel when OrderCancelRequest.TryRead(head, out var request):
                return Write(exchange, node.Cancel(request), static (writer, answer) => answer.Write(writer));
            case Verb.OrderProgress when OrderProgressRequest.TryRead(head, out var request):
                return Write(exchange, node.Progress(request), static (writer, answer) => OrderProgress.WriteAll(writer, answer));
            case Verb.Chain when ChainRequest.TryRead(head, out var request):
                return Write(exchange, node.Chain(request), static (writer, answer) => answer.Write(writer));
            case Verb.Hold when HoldRequest.TryRead(head, out var request):
                return Write(exchange, node.Hold(request), static (writer, answer) => answer.Write(writer));
            case Verb.Drain when DrainRequest.TryRead(head, out var request):
                return Write(exchange, node.Drain(request), static (writer, answer) => answer.Write(writer));
            case Verb.Leaving when LeavingRequest.TryRead(head, out var request):
                return Write(exchange, node.Leaving(request), static (writer, answer) => answer.Write(writer));
            default:
                return false;
        }
    }

    private static bool Write<T>(NativeExchange exchange, T answer, Action<FrameWriter, T> write)
    {
        exchange.Begin();
        write(exchange.Writer, answer);
        exchange.Writer.End(NativeStatus.Ok);
        return true;
    }

    private static void HandleDesk(NativeExchange exchange, PeerDoor door)
    {
        if (!DeskRequest.TryRead(exchange.Receiver.Head, out var request))
        {
            exchange.Refuse(NativeStatus.BadRequest, "Desk: the head must be u8 action, 7 × u8, i64 id, and two texts.");
            return;
        }

        exchange.Owed.Begin(exchange.Writer, exchange.Channel, exchange.Request, AnswerAsync(door, request, exchange.Services.Stopping));
    }

    private static async ValueTask<ControlAnswer> AnswerAsync(PeerDoor door, DeskRequest request, CancellationToken stopping)
    {
        try
        {
            var json = door.Desk is { } desk
                ? await desk.AnswerAsync(request, stopping).ConfigureAwait(false)
                : throw new PlacementUnavailableException("This node does not plan placement.");
            return json is not { } payload ? new ControlAnswer(NativeStatus.Miss, static _ => { })
                : payload.Length > PlacementLimits.MaxDeskBytes ? Refused($"The answer has {payload.Length} bytes; the limit is {PlacementLimits.MaxDeskBytes}.")
                : new ControlAnswer(NativeStatus.Ok, static _ => { }) { Payload = payload };
        }
        catch (PlacementUnavailableException exception)
        {
            return Refused(exception.Message);
        }
        catch (OperationCanceledException)
        {
            return Refused("The node stops.");
        }
    }

    private static ControlAnswer Refused(string text) => new(NativeStatus.Unavailable, writer => writer.WriteText(text));
}
