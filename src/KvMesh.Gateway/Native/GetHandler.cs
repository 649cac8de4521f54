using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using KvMesh.Engine.Blocks;
using KvMesh.Gateway.Access;
using KvMesh.Protocol;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Gateway.Native;

/// <summary>
/// Answers gets: one frame per block, its bytes in one gathered send out of the arena, with the stored checksums. The client
/// verifies; a node that cannot be trusted to send right bytes cannot be trusted to check them.
/// </summary>
internal static class GetHandler
{
    public static void Handle(NativeExchange exchange)
    {
        var reader = new HeadReader(exchange.Receiver.Head);
        var request = GetRequest.Read(ref reader);
        if (!exchange.Require(AccessRights.Read) || !exchange.TryReadKeys(ref reader, out var keys))
        {
            return;
        }

        if (request.Flags > GetFlags.ForPeer || (request.Flags == GetFlags.ForPeer && !exchange.Require(AccessRights.Peer)))
        {
            RefuseFlags(exchange, request);
            return;
        }

        if (request.Mode > GetMode.Range || request.Offset > Limits.MaxBlockBytes)
        {
            exchange.Refuse(
                NativeStatus.BadRequest,
                $"Get: mode is {(byte)request.Mode}, 0 to 1 are known; offset is {request.Offset}, at most {Limits.MaxBlockBytes} is possible.");
            return;
        }

        var cursor = keys.GetCursor();
        for (uint index = 0; cursor.TryNext(exchange.KeyBuffer, out var key); index++)
        {
            var startedAt = Stopwatch.GetTimestamp();
            Answer(exchange, request, keys.Form, key, index, more: index + 1 < keys.Count);
            exchange.Metrics.Get.Record(startedAt);
        }
    }

    /// <summary>A flag that is known but not the caller's is refused already.</summary>
    private static void RefuseFlags(NativeExchange exchange, in GetRequest request)
    {
        if (request.Flags > GetFlags.ForPeer)
        {
            exchange.Refuse(NativeStatus.BadRequest, $"Get: flags are {(byte)request.Flags}; 0 and 1 are known.");
        }
    }

    private static bool TryRead(NativeExchange exchange, in GetRequest request, KeyForm form, ReadOnlySpan<byte> key, out BlockRead read) =>
        request.Flags == GetFlags.ForPeer ? exchange.Engine.TryReadForPeer(exchange.Tenant, key, out read)
        : form == KeyForm.Chain ? exchange.Engine.TryReadAnywhere(exchange.Tenant, key, out read)
        : exchange.Engine.TryRead(exchange.Tenant, key, ReadIntent.Use, out read);

    private static void Answer(NativeExchange exchange, in GetRequest request, KeyForm form, ReadOnlySpan<byte> key, uint index, bool more)
    {
        exchange.Begin(more);
        if (!TryRead(exchange, request, form, key, out var read))
        {
            new BlockHead { Index = index }.Write(exchange.Writer);
            exchange.Writer.End(NativeStatus.Miss);
            return;
        }

        try
        {
            Send(exchange, request, read, index);
        }
        finally
        {
            read.Dispose();
        }
    }

    private static void Send(NativeExchange exchange, in GetRequest request, in BlockRead read, uint index)
    {
        var payload = read.Payload;
        if (request.Mode == GetMode.Whole && payload.Length > request.MaxBytes)
        {
            new BlockHead { Index = index, BlockBytes = (uint)payload.Length }.Write(exchange.Writer);
            exchange.Writer.End(NativeStatus.TooSmall);
            return;
        }

        var (start, length) = request.Mode == GetMode.Whole ? (0, payload.Length) : Cover(request, payload.Length);
        var firstEntry = start / Limits.ChecksumChunkBytes;
        new BlockHead
        {
            Index = index,
            BlockBytes = (uint)payload.Length,
            PayloadOffset = (uint)start,
            TableChecksum = read.TableChecksum,
            FirstEntry = (uint)firstEntry,
            Entries = MemoryMarshal.AsBytes(read.Checksums.Slice(firstEntry, ChecksumTable.EntryCount(length))),
        }.Write(exchange.Writer);
        if (request.Flags == GetFlags.ForPeer)
        {
            WriteOrigin(exchange, read);
        }

        exchange.Writer.End(NativeStatus.Ok, length);
        exchange.Writer.Flush(exchange.Channel, payload.Slice(start, length));
    }

    private static void WriteOrigin(NativeExchange exchange, in BlockRead read)
    {
        var origin = read.Origin;
        new BlockOriginHead
        {
            ExpiresAt = origin.ExpiresAt,
            Model = Encoding.UTF8.GetBytes(origin.Traits.Model),
            Revision = Encoding.UTF8.GetBytes(origin.Traits.Revision),
            ParentKey = origin.Traits.ParentKey,
            CompanionOf = origin.Traits.CompanionOf,
        }.Write(exchange.Writer);
    }

    /// <summary>The whole chunks that cover the asked range; nothing when it begins behind the block.</summary>
    private static (int Start, int Length) Cover(in GetRequest request, int blockBytes)
    {
        if (request.Offset >= (ulong)blockBytes || request.MaxBytes == 0)
        {
            return (0, 0);
        }

        const int Chunk = Limits.ChecksumChunkBytes;
        var start = (int)request.Offset / Chunk * Chunk;
        var end = Math.Min((long)request.Offset + request.MaxBytes, blockBytes);
        return (start, (int)(Math.Min((end + Chunk - 1) / Chunk * Chunk, blockBytes) - start));
    }
}
