using System.Buffers.Binary;
using System.Diagnostics;
using System.Runtime.InteropServices;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.FarTiers.Holders;
using KvMesh.Gateway.Access;
using KvMesh.Protocol;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Gateway.Native;

/// <summary>
/// Stores a block: its bytes go from the socket straight into the reservation, and each piece is checksummed while it is in the cache.
/// What does not match the client's table is never sealed.
/// </summary>
internal static class PutHandler
{
    public static void Handle(NativeExchange exchange)
    {
        var startedAt = Stopwatch.GetTimestamp();
        var reader = new HeadReader(exchange.Receiver.Head);
        var request = PutRequest.Read(ref reader);
        exchange.FlushBeforePayload();
        if (!exchange.Require(AccessRights.Write) || !TryReadKey(exchange, ref reader, !request.ParentHash.IsEmpty, out var key, out var keys))
        {
            // The refusal stands in the writer already.
            exchange.Receiver.Skip(exchange.Channel, exchange.Request.PayloadBytes);
            return;
        }

        if (exchange.Request.PayloadBytes != request.BlockBytes + (long)PutRequest.TrailerBytes(request.BlockBytes))
        {
            exchange.SkipPayload();
            exchange.Refuse(
                NativeStatus.BadRequest,
                $"Put: the payload has {exchange.Request.PayloadBytes} bytes; a block of {request.BlockBytes} and its checksums have {request.BlockBytes + (long)PutRequest.TrailerBytes(request.BlockBytes)}.");
            return;
        }

        if (request.BlockBytes > exchange.Services.Options.MaxBlockBytes)
        {
            exchange.SkipPayload();
            exchange.Answer(NativeStatus.TooLarge);
            return;
        }

        if (request.Ask is { } number)
        {
            HandOver(exchange, request, number, key, keys);
        }
        else
        {
            Store(exchange, request, key, keys, null, out _);
        }

        exchange.Metrics.Put.Record(startedAt);
    }

    /// <summary>Reads the only key of a write, and puts the key of its parent together.</summary>
    public static bool TryReadKey(
        NativeExchange exchange, ref HeadReader reader, bool hasParent, out ReadOnlySpan<byte> key, out KeySet keys)
    {
        key = default;
        if (!exchange.TryReadKeys(ref reader, out keys))
        {
            return false;
        }

        if (keys.Count != 1 || (keys.Form == KeyForm.Opaque && hasParent))
        {
            exchange.Refuse(NativeStatus.BadRequest, $"{exchange.Request.Verb}: {keys.Count} keys of form {keys.Form} were given; one key is possible, and a parent only for a chain.");
            return false;
        }

        var cursor = keys.GetCursor();
        return cursor.TryNext(exchange.KeyBuffer, out key);
    }

    /// <summary>Reserves room for a block of the request. Anything but Reserved is answered already.</summary>
    public static Reservation? Reserve(NativeExchange exchange, ReadOnlySpan<byte> key, in KeySet keys, ReadOnlySpan<byte> parentHash, int payloadBytes, out NativeStatus refusal)
    {
        var traits = Traits(exchange, keys, parentHash);
        var status = exchange.Engine.TryReserve(exchange.Tenant, key, payloadBytes, traits, out var reservation);
        refusal = status switch
        {
            ReserveStatus.AlreadyPresent => NativeStatus.AlreadyPresent,
            ReserveStatus.TooLarge => NativeStatus.TooLarge,
            _ => NativeStatus.Full,
        };
        return status == ReserveStatus.Reserved ? reservation : null;
    }

    /// <summary>Makes a filled and verified reservation visible.</summary>
    public static NativeStatus Seal(NativeExchange exchange, Reservation reservation, BlockAsk? ask = null) =>
        (ask is null ? exchange.Engine.Seal(reservation, default) : exchange.Engine.SealHandOver(reservation, ask)) switch
        {
            SealStatus.Sealed => NativeStatus.Ok,
            SealStatus.AlreadyPresent => NativeStatus.AlreadyPresent,
            SealStatus.ConditionFailed => NativeStatus.Miss,
            _ => NativeStatus.Full,
        };

    /// <summary>What the request says of its block. The parent's key is put together in a buffer of the exchange.</summary>
    public static BlockTraits Traits(NativeExchange exchange, in KeySet keys, ReadOnlySpan<byte> parentHash)
    {
        if (keys.Form == KeyForm.Opaque)
        {
            return BlockTraits.Opaque with { LosslessOnly = exchange.WritesLossless };
        }

        exchange.ScopeNames.Use(keys.Scope);
        ReadOnlySpan<byte> parentKey = default;
        if (!parentHash.IsEmpty)
        {
            keys.Scope.CopyTo(exchange.ParentBuffer);
            parentHash.CopyTo(exchange.ParentBuffer.AsSpan(keys.Scope.Length));
            parentKey = exchange.ParentBuffer.AsSpan(0, keys.Scope.Length + Limits.ChainHashBytes);
        }

        return BlockTraits.Content(exchange.ScopeNames.Model, exchange.ScopeNames.Revision, parentKey) with { LosslessOnly = exchange.WritesLossless };
    }

    /// <summary>Takes a block that was asked for, while it is still wanted.</summary>
    private static void HandOver(NativeExchange exchange, in PutRequest request, ulong number, ReadOnlySpan<byte> key, in KeySet keys)
    {
        var ask = exchange.Engine.BeginHandOver(exchange.Tenant, number, key, request.BlockBytes, out var isOther);
        if (ask is null)
        {
            exchange.SkipPayload();
            exchange.Answer(isOther ? NativeStatus.Mismatch : NativeStatus.Miss);
            return;
        }

        var status = NativeStatus.Full;
        try
        {
            Store(exchange, request, key, keys, ask, out status);
        }
        finally
        {
            exchange.Engine.EndHandOver(ask, status is NativeStatus.Ok or NativeStatus.AlreadyPresent, wasWrong: status == NativeStatus.Mismatch);
        }
    }

    private static void Store(NativeExchange exchange, in PutRequest request, ReadOnlySpan<byte> key, in KeySet keys, BlockAsk? ask, out NativeStatus status)
    {
        var reservation = Reserve(exchange, key, keys, request.ParentHash, (int)request.BlockBytes, out status);
        if (reservation is null)
        {
            exchange.SkipPayload();
            exchange.Answer(status);
            return;
        }

        // What the caller finds when the connection breaks off.
        status = NativeStatus.Full;
        var isComplete = false;
        try
        {
            Receive(exchange, reservation);
            isComplete = MatchesTrailer(exchange, reservation);
        }
        finally
        {
            if (!isComplete)
            {
                exchange.Engine.Abort(reservation);
            }
        }

        status = isComplete ? Seal(exchange, reservation, ask) : NativeStatus.Mismatch;
        exchange.Answer(status);
    }

    private static void Receive(NativeExchange exchange, Reservation reservation)
    {
        var rest = reservation.Payload;
        var table = reservation.Checksums;
        var checksum = default(RunningChecksum);
        while (!rest.IsEmpty)
        {
            var received = exchange.Receiver.ReceiveSome(exchange.Channel, rest[..Math.Min(rest.Length, NativeLimits.PieceBytes)]);
            checksum.Append(rest[..received], table);
            rest = rest[received..];
        }
    }

    /// <summary>Whether what was received is what the client sent, by the table behind the bytes.</summary>
    private static bool MatchesTrailer(NativeExchange exchange, Reservation reservation)
    {
        var table = MemoryMarshal.AsBytes(reservation.Checksums);
        var trailer = exchange.TableBuffer.AsSpan(0, table.Length + sizeof(uint));
        exchange.Receiver.Receive(exchange.Channel, trailer);
        return table.SequenceEqual(trailer[..table.Length]) && BinaryPrimitives.ReadUInt32LittleEndian(trailer[table.Length..]) == Crc32C.Compute(table);
    }
}
