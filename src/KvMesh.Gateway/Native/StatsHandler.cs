using System.Buffers;
using System.Text.Json;
using KvMesh.Engine.Telemetry;
using KvMesh.Gateway.Access;
using KvMesh.Protocol.Native;

namespace KvMesh.Gateway.Native;

/// <summary>Answers with a JSON object as payload: the figures of the caller's tenant, and those of the node for an admin.</summary>
internal static class StatsHandler
{
    public static void Handle(NativeExchange exchange)
    {
        var snapshot = exchange.Engine.Snapshot();
        var json = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(json))
        {
            Write(exchange, writer, snapshot);
        }

        exchange.Begin();
        exchange.Writer.End(NativeStatus.Ok, json.WrittenCount);
        exchange.Writer.Flush(exchange.Channel, json.WrittenSpan);
    }

    private static void Write(NativeExchange exchange, Utf8JsonWriter writer, EngineSnapshot snapshot)
    {
        writer.WriteStartObject();
        writer.WriteString("node", exchange.Services.Options.NodeId);
        writer.WriteNumber("incarnation", snapshot.Incarnation);
        foreach (var tenant in snapshot.Tenants.Where(tenant => tenant.Name == exchange.Tenant.Name))
        {
            writer.WriteStartObject("tenant");
            writer.WriteString("name", tenant.Name);
            writer.WriteNumber("blocks", tenant.Blocks);
            writer.WriteNumber("hostBytes", tenant.HostBytes);
            writer.WriteNumber("hits", tenant.Hits);
            writer.WriteNumber("misses", tenant.Misses);
            writer.WriteNumber("leasedBytes", tenant.LeasedBytes);
            writer.WriteEndObject();
        }

        if (exchange.May(AccessRights.Admin))
        {
            WriteNode(writer, snapshot);
        }

        writer.WriteEndObject();
    }

    private static void WriteNode(Utf8JsonWriter writer, EngineSnapshot snapshot)
    {
        writer.WriteStartArray("tiers");
        foreach (var tier in snapshot.Tiers)
        {
            writer.WriteStartObject();
            writer.WriteString("name", tier.Name);
            writer.WriteNumber("capacityBytes", tier.CapacityBytes);
            writer.WriteNumber("usedBytes", tier.UsedBytes);
            writer.WriteNumber("blocks", tier.Blocks);
            writer.WriteNumber("hits", tier.Hits);
            writer.WriteNumber("evictions", tier.Evictions);
            writer.WriteNumber("evictedBytes", tier.EvictedBytes);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteStartObject("traffic");
        writer.WriteNumber("reads", snapshot.Traffic.Reads);
        writer.WriteNumber("readHits", snapshot.Traffic.ReadHits);
        writer.WriteNumber("readBytes", snapshot.Traffic.ReadBytes);
        writer.WriteNumber("writes", snapshot.Traffic.Writes);
        writer.WriteNumber("writtenBytes", snapshot.Traffic.WrittenBytes);
        writer.WriteNumber("duplicateWrites", snapshot.Traffic.DuplicateWrites);
        writer.WriteNumber("refusedWrites", snapshot.Traffic.RefusedWrites);
        writer.WriteEndObject();
        writer.WriteStartObject("integrity");
        writer.WriteNumber("verifiedBlocks", snapshot.Integrity.VerifiedBlocks);
        writer.WriteNumber("mismatches", snapshot.Integrity.Mismatches);
        writer.WriteNumber("quarantinedBlocks", snapshot.Integrity.QuarantinedBlocks);
        writer.WriteEndObject();
    }
}
