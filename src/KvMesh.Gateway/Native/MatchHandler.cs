using System.Diagnostics;
using KvMesh.Engine.Blocks;
using KvMesh.Gateway.Access;
using KvMesh.Protocol.Native;

namespace KvMesh.Gateway.Native;

/// <summary>Answers how much of a chain is here. Request: u32 lease in milliseconds, keys. Answer: u32 blocks, u32 of them elsewhere, i64 leased until.</summary>
internal static class MatchHandler
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

        if (keys.Form != KeyForm.Chain)
        {
            exchange.Refuse(NativeStatus.BadRequest, $"Match: the form of the keys is {(byte)keys.Form}; it must be 1 (chain).");
            return;
        }

        var match = exchange.Engine.MatchPrefixAnywhere(exchange.Tenant, new KeyRun(keys.Scope, keys.Hashes), exchange.Leases, lease, exchange.LosslessOnly);
        exchange.HasMatched = true;
        exchange.Services.Demand?.Note(exchange.Tenant.Name, keys.Scope, keys.Hashes);
        exchange.Begin();
        exchange.Writer.WriteUInt32((uint)match.Blocks);
        exchange.Writer.WriteUInt32((uint)match.Elsewhere);
        exchange.Writer.WriteInt64(match.LeasedUntil);
        exchange.Writer.End(NativeStatus.Ok);
        exchange.Metrics.Match.Record(startedAt);
    }
}
