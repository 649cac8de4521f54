using KvMesh.Engine.Blocks;
using KvMesh.Engine.Progressive;
using KvMesh.Gateway.Access;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Gateway.Native.Progressive;

/// <summary>
/// Takes blocks by section: bytes go from the socket straight into the reservation, and a section is published when its checksum is the writer's. What a
/// connection has begun ends with it.
/// </summary>
internal static class SectionWriteHandler
{
    public static void Begin(NativeExchange exchange)
    {
        var reader = new HeadReader(exchange.Receiver.Head);
        var request = SectionBeginRequest.Read(ref reader);
        if (!exchange.Require(AccessRights.Write) || !PutHandler.TryReadKey(exchange, ref reader, !request.ParentHash.IsEmpty, out var key, out var keys))
        {
            return;
        }

        if (keys.Form != KeyForm.Chain)
        {
            exchange.Refuse(NativeStatus.BadRequest, "SectionBegin: the key is opaque; only blocks of a chain can be read while they are written.");
            return;
        }

        if (request.BlockBytes > exchange.Services.Options.MaxBlockBytes)
        {
            exchange.Answer(NativeStatus.TooLarge);
            return;
        }

        if (!ProgressiveLimits.IsValid(request.BlockBytes, request.SectionBytes))
        {
            exchange.Refuse(
                NativeStatus.BadRequest,
                $"SectionBegin: section bytes is {request.SectionBytes} of a block of {request.BlockBytes}; it must be 1 to the block's, in at most {ProgressiveLimits.MaxSections} sections.");
            return;
        }

        var writes = exchange.OpenWrites;
        if (writes.Count >= ProgressiveLimits.MaxOpenWrites && !writes.ForgetEnded())
        {
            exchange.Refuse(NativeStatus.LimitExceeded, $"SectionBegin: {writes.Count} blocks are being written on this connection, the limit.");
            return;
        }

        var traits = PutHandler.Traits(exchange, keys, request.ParentHash);
        var status = exchange.Engine.TryBegin(exchange.Tenant, key, (int)request.BlockBytes, (int)request.SectionBytes, traits, exchange.Leases, out var write);
        if (status != ReserveStatus.Reserved)
        {
            exchange.Answer(status switch
            {
                ReserveStatus.AlreadyPresent => NativeStatus.AlreadyPresent,
                ReserveStatus.TooLarge => NativeStatus.TooLarge,
                _ => NativeStatus.Full,
            });
            return;
        }

        exchange.Begin();
        exchange.Writer.WriteUInt64(writes.Add(write!));
        exchange.Writer.End(NativeStatus.Ok);
    }

    public static void Publish(NativeExchange exchange)
    {
        exchange.FlushBeforePayload();
        if (!exchange.Require(AccessRights.Write))
        {
            exchange.Receiver.Skip(exchange.Channel, exchange.Request.PayloadBytes);
            return;
        }

        if (!SectionPublishRequest.TryRead(exchange.Receiver.Head, out var request))
        {
            exchange.SkipPayload();
            exchange.Refuse(NativeStatus.BadRequest, "SectionPublish: the head must be u64, u32, u32.");
            return;
        }

        if (exchange.OpenWrites.Find(request.Write) is not { } write)
        {
            exchange.SkipPayload();
            exchange.Answer(NativeStatus.Miss);
            return;
        }

        if (request.Section != write.Published || exchange.Request.PayloadBytes != write.NextSectionBytes)
        {
            exchange.SkipPayload();
            exchange.Refuse(
                NativeStatus.BadRequest,
                $"SectionPublish: section {request.Section} of {exchange.Request.PayloadBytes} bytes was given; section {write.Published} of {write.NextSectionBytes} is the next.");
            return;
        }

        if (!write.TryHold())
        {
            exchange.OpenWrites.Remove(request.Write);
            exchange.SkipPayload();
            exchange.Answer(NativeStatus.Miss);
            return;
        }

        try
        {
            exchange.Answer(Take(exchange, write, request));
        }
        finally
        {
            exchange.Engine.EndSection(write);
            write.Release();
        }
    }

    public static void Abandon(NativeExchange exchange)
    {
        var reader = new HeadReader(exchange.Receiver.Head);
        var number = reader.ReadUInt64();
        if (!exchange.Require(AccessRights.Write))
        {
            return;
        }

        if (!reader.IsComplete)
        {
            exchange.Refuse(NativeStatus.BadRequest, "SectionAbandon: the head must be u64.");
            return;
        }

        var write = exchange.OpenWrites.Find(number);
        if (write is not null)
        {
            exchange.OpenWrites.Remove(number);
            exchange.Engine.Abandon(write);
        }

        exchange.Answer(write is null ? NativeStatus.Miss : NativeStatus.Ok);
    }

    /// <summary>Takes the bytes of a section into their place and publishes them when they are right.</summary>
    private static NativeStatus Take(NativeExchange exchange, ProgressiveWrite write, in SectionPublishRequest request)
    {
        write.BeginSection();
        var checksum = 0u;
        for (var rest = write.NextSection; !rest.IsEmpty;)
        {
            var received = exchange.Receiver.ReceiveSome(exchange.Channel, rest[..Math.Min(rest.Length, NativeLimits.PieceBytes)]);
            write.Append(rest[..received]);
            checksum = Crc32C.Append(checksum, rest[..received]);
            rest = rest[received..];
        }

        if (checksum != request.Checksum)
        {
            return NativeStatus.Mismatch;
        }

        var status = exchange.Engine.Publish(write, checksum, out var isOver);
        if (isOver)
        {
            exchange.OpenWrites.Remove(request.Write);
        }

        return status switch
        {
            SealStatus.Sealed => NativeStatus.Ok,
            SealStatus.AlreadyPresent => NativeStatus.AlreadyPresent,
            SealStatus.ConditionFailed => NativeStatus.Miss,
            _ => NativeStatus.Full,
        };
    }
}
