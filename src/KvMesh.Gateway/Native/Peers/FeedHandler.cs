using System.Buffers;
using KvMesh.Gateway.Access;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Gateway.Native.Peers;

/// <summary>Answers a directory's watch with the changes of its slots, at once. What it did not ask for in time is a gap that it is told about.</summary>
internal static class FeedHandler
{
    public static void Handle(NativeExchange exchange)
    {
        if (!exchange.Require(AccessRights.Peer))
        {
            return;
        }

        if (!FeedRequest.TryRead(exchange.Receiver.Head, out var request))
        {
            exchange.Refuse(NativeStatus.BadRequest, $"Watch: the head has {exchange.Receiver.Head.Length} bytes; a node sends {FeedRequest.Bytes}, a client 16.");
            return;
        }

        if (exchange.Services.Peers?.LogFor(request.KeyId) is not { } log)
        {
            exchange.Refuse(NativeStatus.Unavailable, "Watch: this node does not know the cluster's digest key of that id yet.");
            return;
        }

        var states = ArrayPool<DigestState>.Shared.Rent(NativeLimits.MaxWatchEvents);
        var most = (int)Math.Clamp(request.MaxChanges, 1, NativeLimits.MaxWatchEvents);
        var count = log.Read(request.After, request.Slots, states.AsSpan(0, most), out var next);
        exchange.Begin();
        new WatchResponse(next, (uint)Math.Max(count, 0), HasGap: count < 0).Write(exchange.Writer);
        for (var index = 0; index < count; index++)
        {
            (request.WantsHeld ? states[index] : states[index].WithoutHeld).Write(exchange.Writer);
        }

        exchange.Writer.End(NativeStatus.Ok);
        ArrayPool<DigestState>.Shared.Return(states);
    }
}
