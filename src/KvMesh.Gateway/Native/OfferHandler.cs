using System.Buffers.Binary;
using KvMesh.Gateway.Access;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Gateway.Native;

/// <summary>Tells a writer which blocks it need not send.</summary>
internal static class OfferHandler
{
    public static void Handle(NativeExchange exchange)
    {
        var reader = new HeadReader(exchange.Receiver.Head);
        var request = OfferRequest.Read(ref reader);
        if (!exchange.Require(AccessRights.Write) || !exchange.TryReadKeys(ref reader, out var keys))
        {
            return;
        }

        if (request.Count != keys.Count)
        {
            exchange.Refuse(NativeStatus.BadRequest, $"Offer: {request.Count} lengths were given for {keys.Count} keys.");
            return;
        }

        exchange.Begin();
        var cursor = keys.GetCursor();
        for (var index = 0; cursor.TryNext(exchange.KeyBuffer, out var key); index++)
        {
            var payloadBytes = BinaryPrimitives.ReadUInt32LittleEndian(request.Lengths[(index * sizeof(uint))..]);
            exchange.Writer.WriteByte((byte)Look(exchange, key, payloadBytes));
        }

        exchange.Writer.End(NativeStatus.Ok);
    }

    private static NativeStatus Look(NativeExchange exchange, ReadOnlySpan<byte> key, uint payloadBytes)
    {
        if (payloadBytes > exchange.Services.Options.MaxBlockBytes)
        {
            return NativeStatus.TooLarge;
        }

        return exchange.Engine.TryInspect(exchange.Tenant, key, out var info) && info is { IsContent: true, Loss: null } && (info.IsLosslessOnly || !exchange.WritesLossless)
            ? NativeStatus.AlreadyPresent
            : NativeStatus.Wanted;
    }
}
