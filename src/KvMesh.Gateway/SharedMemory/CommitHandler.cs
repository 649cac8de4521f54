using System.Diagnostics;
using KvMesh.Engine.Blocks;
using KvMesh.Gateway.Access;
using KvMesh.Gateway.Native;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Gateway.SharedMemory;

/// <summary>
/// Stores a block out of the client's staging file: copied into the reservation and checksummed in one pass. The checksums are those of
/// the copy, so a client that writes meanwhile can only make its own put fail, or, when it gave none, store what it wrote.
/// <para>
/// A client that no longer waits for the answer may write other bytes, for another block. Checksums tell them from those that were
/// meant. Without them a client ends its connection before it writes, and the node looks at the connection after it has copied: still
/// open, and every byte was read before anything else could be written.
/// </para>
/// </summary>
internal static class CommitHandler
{
    /// <summary>Larger blocks are stored past the cache, which they would fill with bytes that nobody reads soon.</summary>
    private const int MinStreamedBytes = 1024 * 1024;

    public static void Handle(NativeExchange exchange)
    {
        var startedAt = Stopwatch.GetTimestamp();
        var reader = new HeadReader(exchange.Receiver.Head);
        var request = CommitRequest.Read(ref reader);
        if (!exchange.Require(AccessRights.Write) || !PutHandler.TryReadKey(exchange, ref reader, !request.ParentHash.IsEmpty, out var key, out var keys))
        {
            return;
        }

        var staging = exchange.Staging;
        if (staging is null || !staging.Contains(request.Offset, request.PayloadBytes))
        {
            exchange.Refuse(
                NativeStatus.BadRequest,
                $"Commit: offset {request.Offset} and {request.PayloadBytes} bytes are outside the staging file, which has {staging?.Bytes ?? 0}.");
            return;
        }

        if (request.PayloadBytes > exchange.Services.Options.MaxBlockBytes)
        {
            exchange.Answer(NativeStatus.TooLarge);
            return;
        }

        var reservation = PutHandler.Reserve(exchange, key, keys, request.ParentHash, (int)request.PayloadBytes, out var refusal);
        exchange.Answer(reservation is null ? refusal : Store(exchange, staging, request, reservation));
        exchange.Metrics.Put.Record(startedAt);
    }

    private static NativeStatus Store(NativeExchange exchange, StagingFile staging, in CommitRequest request, Reservation reservation)
    {
        var source = staging.Slice(request.Offset, (int)request.PayloadBytes);
        ChecksumTable.CopyAndCompute(source, reservation.Payload, reservation.Checksums, streams: source.Length >= MinStreamedBytes);
        if (request.TableChecksum is { } wanted ? ChecksumTable.Seal(reservation.Checksums) == wanted : exchange.Channel is IDescriptorChannel channel && channel.IsOpen())
        {
            return PutHandler.Seal(exchange, reservation);
        }

        exchange.Engine.Abort(reservation);
        return NativeStatus.Mismatch;
    }
}
