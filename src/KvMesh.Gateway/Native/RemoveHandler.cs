using System.Diagnostics;
using KvMesh.Gateway.Access;
using KvMesh.Protocol.Native;

namespace KvMesh.Gateway.Native;

/// <summary>Removes blocks. Request: keys. Answer: u32 removed, then a bit per key, lowest first.</summary>
internal static class RemoveHandler
{
    public static void Handle(NativeExchange exchange)
    {
        var startedAt = Stopwatch.GetTimestamp();
        var reader = new HeadReader(exchange.Receiver.Head);
        if (!exchange.Require(AccessRights.Remove) || !exchange.TryReadKeys(ref reader, out var keys))
        {
            return;
        }

        Span<byte> bits = stackalloc byte[BitSet.Bytes(keys.Count)];
        bits.Clear();
        var cursor = keys.GetCursor();
        for (var index = 0; cursor.TryNext(exchange.KeyBuffer, out var key); index++)
        {
            if (exchange.Engine.Remove(exchange.Tenant, key))
            {
                BitSet.Set(bits, index);
            }
        }

        BitSet.Answer(exchange, bits);
        exchange.Metrics.Remove.Record(startedAt, keys.Count);
    }
}
