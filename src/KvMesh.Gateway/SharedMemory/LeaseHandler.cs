using System.Buffers.Binary;
using System.Diagnostics;
using KvMesh.Engine.Blocks;
using KvMesh.Gateway.Access;
using KvMesh.Gateway.Native;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Gateway.SharedMemory;

/// <summary>
/// Gives residence leases: the extents stay where they are while the client reads them in place. Answer: u32 milliseconds granted, u32 count,
/// then a <see cref="LeaseGrant"/> per key.
/// </summary>
internal static class LeaseHandler
{
    public static void Handle(NativeExchange exchange)
    {
        var startedAt = Stopwatch.GetTimestamp();
        var reader = new HeadReader(exchange.Receiver.Head);
        var request = LeaseRequest.Read(ref reader);
        if (!exchange.Require(AccessRights.Read) || !exchange.TryReadKeys(ref reader, out var keys))
        {
            return;
        }

        if (!exchange.IsAttached)
        {
            exchange.Refuse(NativeStatus.NotSupported, "Lease: this connection has not attached the arena; read with get.");
            return;
        }

        ReleaseAll(exchange, request.Releases);
        var longest = (uint)exchange.Services.Options.MaxResidenceLease.TotalMilliseconds;
        var granted = request.Milliseconds == 0 ? longest : Math.Min(request.Milliseconds, longest);
        exchange.Begin();
        exchange.Writer.WriteUInt32(granted);
        exchange.Writer.WriteUInt32((uint)keys.Count);
        var cursor = keys.GetCursor();
        while (cursor.TryNext(exchange.KeyBuffer, out var key))
        {
            Grant(exchange, keys.Form, key, TimeSpan.FromMilliseconds(granted)).Write(exchange.Writer);
        }

        exchange.Writer.End(NativeStatus.Ok);
        exchange.Metrics.Lease.Record(startedAt, keys.Count);
    }

    /// <summary>Ends leases, ids in little-endian. Returns how many were still valid.</summary>
    public static int ReleaseAll(NativeExchange exchange, ReadOnlySpan<byte> ids)
    {
        var valid = 0;
        for (; !ids.IsEmpty; ids = ids[sizeof(long)..])
        {
            if (exchange.Leases.Release(BinaryPrimitives.ReadInt64LittleEndian(ids)))
            {
                valid++;
            }
        }

        return valid;
    }

    private static LeaseGrant Grant(NativeExchange exchange, KeyForm form, ReadOnlySpan<byte> key, TimeSpan duration)
    {
        var isHit = form == KeyForm.Chain
            ? exchange.Engine.TryReadAnywhere(exchange.Tenant, key, out var read, exchange.LosslessOnly)
            : exchange.Engine.TryRead(exchange.Tenant, key, ReadIntent.Use, out read, exchange.LosslessOnly);
        if (!isHit)
        {
            return new LeaseGrant { Status = NativeStatus.Miss };
        }

        var grant = new LeaseGrant
        {
            DescriptorIndex = (uint)read.DescriptorIndex,
            Generation = read.Generation,
            PayloadOffset = (ulong)read.PayloadOffset,
            PayloadBytes = (uint)read.PayloadBytes,
            TableChecksum = read.TableChecksum,
        };
        var lease = exchange.Leases.TakeResidence(read, duration);
        return lease == 0 ? new LeaseGrant { Status = NativeStatus.LeaseRefused } : grant with { LeaseId = lease };
    }
}
