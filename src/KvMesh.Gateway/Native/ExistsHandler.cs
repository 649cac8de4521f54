using System.Diagnostics;
using KvMesh.Gateway.Access;
using KvMesh.Protocol.Native;

namespace KvMesh.Gateway.Native;

/// <summary>Answers which blocks are here. Request: u32 lease in milliseconds, keys. Answer: u32 present, then a bit per key, lowest first.</summary>
internal static class ExistsHandler
{
    public static void Handle(NativeExchange exchange)
    {
        var startedAt = Stopwatch.GetTimestamp();
        var reader = new HeadReader(exchange.Receiver.Head);
        var lease = TimeSpan.FromMilliseconds(reader.ReadUInt32());
        if (!exchange.Require(AccessRights.Read) || !exchange.TryReadKeys(ref reader, out var keys))
        {
            return;
        }

        Span<byte> bits = stackalloc byte[BitSet.Bytes(keys.Count)];
        bits.Clear();
        var cursor = keys.GetCursor();
        for (var index = 0; cursor.TryNext(exchange.KeyBuffer, out var key); index++)
        {
            var isPresent = keys.Form == KeyForm.Chain
                ? exchange.Engine.ExistsAnywhere(exchange.Tenant, key, exchange.Leases, lease, exchange.LosslessOnly)
                : exchange.Engine.Exists(exchange.Tenant, key, exchange.Leases, lease, exchange.LosslessOnly);
            if (isPresent)
            {
                BitSet.Set(bits, index);
            }
        }

        BitSet.Answer(exchange, bits);
        exchange.Metrics.Exists.Record(startedAt, keys.Count);
    }
}
