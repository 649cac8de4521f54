using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using KvMesh.Cluster.Removals;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Coding;
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

        if (!IsKnown(request.Flags))
        {
            exchange.Refuse(NativeStatus.BadRequest, $"Get: flags are {(byte)request.Flags}; 0, 1, 3 and 8 are known, and 4 with each of them.");
            return;
        }

        if (IsForPeer(request) && !exchange.Require(AccessRights.Peer))
        {
            return;
        }

        if ((request.Flags & GetFlags.AcceptEncoded) != 0 && request.Mode != GetMode.Whole)
        {
            exchange.Refuse(NativeStatus.BadRequest, $"Get: mode is {(byte)request.Mode}; with flag 8 it must be 0, since what is encoded is answered whole.");
            return;
        }

        if (request.Mode > GetMode.Range || request.Offset > Limits.MaxBlockBytes)
        {
            exchange.Refuse(
                NativeStatus.BadRequest,
                $"Get: mode is {(byte)request.Mode}, 0 to 1 are known; offset is {request.Offset}, at most {Limits.MaxBlockBytes} is possible.");
            return;
        }

        if ((request.Flags & ~GetFlags.LosslessOnly) != GetFlags.ForPeer && keys.Form == KeyForm.Chain && !exchange.HasMatched)
        {
            exchange.Services.Demand?.Note(exchange.Tenant.Name, keys.Scope, keys.Hashes);
        }

        var cursor = keys.GetCursor();
        for (uint index = 0; cursor.TryNext(exchange.KeyBuffer, out var key); index++)
        {
            var startedAt = Stopwatch.GetTimestamp();
            Answer(exchange, request, keys.Form, key, index, more: index + 1 < keys.Count);
            exchange.Metrics.Get.Record(startedAt);
        }
    }

    private static bool IsKnown(GetFlags flags) => (flags & ~GetFlags.LosslessOnly) is GetFlags.None or GetFlags.ForPeer or (GetFlags.ForPeer | GetFlags.Guarded) or GetFlags.AcceptEncoded;

    /// <summary>Another node says for itself what its reader wants, whatever is true of this tenant here.</summary>
    private static bool IsLosslessOnly(NativeExchange exchange, in GetRequest request) =>
        (request.Flags & GetFlags.LosslessOnly) != 0 || (!IsForPeer(request) && exchange.LosslessOnly);

    private static bool IsForPeer(in GetRequest request) => (request.Flags & GetFlags.ForPeer) != 0;

    /// <summary>
    /// Whether this node has carried out what the asking node knows to be removed. Looked at before the block is: what is carried out is gone
    /// by then.
    /// </summary>
    private static bool IsBehind(NativeExchange exchange, in GetRequest request) =>
        (request.Flags & GetFlags.Guarded) != 0
        && exchange.Services.Peers?.Removals?.MayServe(exchange.Tenant.Name, new PullGuard((long)request.Purges, (long)request.Removals)) != true;

    private static bool TryRead(NativeExchange exchange, in GetRequest request, KeyForm form, ReadOnlySpan<byte> key, out BlockRead read) =>
        IsForPeer(request) ? exchange.Engine.TryReadForPeer(exchange.Tenant, key, out read, IsLosslessOnly(exchange, request))
        : form == KeyForm.Chain ? exchange.Engine.TryReadAnywhere(exchange.Tenant, key, out read, IsLosslessOnly(exchange, request))
        : exchange.Engine.TryRead(exchange.Tenant, key, ReadIntent.Use, out read, IsLosslessOnly(exchange, request));

    private static void Answer(NativeExchange exchange, in GetRequest request, KeyForm form, ReadOnlySpan<byte> key, uint index, bool more)
    {
        exchange.Begin(more);
        if (IsBehind(exchange, request))
        {
            new BlockHead { Index = index }.Write(exchange.Writer);
            exchange.Writer.End(NativeStatus.Behind);
            return;
        }

        if ((request.Flags & GetFlags.AcceptEncoded) != 0
            && exchange.Engine.TryReadEncoded(exchange.Tenant, key, request.Codecs, IsLosslessOnly(exchange, request), out var encoded))
        {
            try
            {
                SendEncoded(exchange, request, encoded, index);
            }
            finally
            {
                encoded.Dispose();
            }

            return;
        }

        if (!TryRead(exchange, request, form, key, out var read))
        {
            // The block is here, as the map says, but not as it was asked for.
            var isLossy = IsForPeer(request) && IsLosslessOnly(exchange, request)
                && exchange.Engine.TryInspect(exchange.Tenant, key, out var info) && info is { IsContent: true, Loss: not null };
            if (IsForPeer(request) && !isLossy)
            {
                exchange.Services.Peers?.Correct(exchange.Tenant, key);
            }

            new BlockHead { Index = index }.Write(exchange.Writer);
            exchange.Writer.End(isLossy ? NativeStatus.Lossy : NativeStatus.Miss);
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
        if (!IsForPeer(request))
        {
            exchange.Writer.End(NativeStatus.Ok, length);
            exchange.Writer.Flush(exchange.Channel, payload.Slice(start, length));
            return;
        }

        WriteOrigin(exchange, read);
        exchange.Engine.NotePeerRead(length);
        exchange.Writer.End(read.Loss is null ? NativeStatus.Ok : NativeStatus.Lossy, length);
        var startedAt = Stopwatch.GetTimestamp();
        exchange.Writer.Flush(exchange.Channel, payload.Slice(start, length));
        exchange.Engine.NotePeerSent(Stopwatch.GetElapsedTime(startedAt));
    }

    private static void SendEncoded(NativeExchange exchange, in GetRequest request, in EncodedRead read, uint index)
    {
        if (read.BlockBytes > request.MaxBytes)
        {
            new BlockHead { Index = index, BlockBytes = (uint)read.BlockBytes }.Write(exchange.Writer);
            exchange.Writer.End(NativeStatus.TooSmall);
            return;
        }

        new EncodedHead
        {
            Index = index,
            BlockBytes = (uint)read.BlockBytes,
            BlockTableChecksum = read.BlockTableChecksum,
            Codec = read.Codec,
            Loss = read.Loss,
            TableChecksum = read.TableChecksum,
            Entries = MemoryMarshal.AsBytes(read.Checksums),
        }.Write(exchange.Writer);
        exchange.Writer.End(NativeStatus.Encoded, read.Payload.Length);
        exchange.Writer.Flush(exchange.Channel, read.Payload);
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
            Loss = origin.Loss,
            LosslessOnly = origin.Traits.LosslessOnly,
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
