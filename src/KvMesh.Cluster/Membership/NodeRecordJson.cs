using System.Text.Json;
using System.Text.Json.Serialization;

namespace KvMesh.Cluster.Membership;

/// <summary>
/// A record as text for a store. Fields that a reader does not know are passed over and fields that are missing have their defaults,
/// so that two versions of the program read each other's.
/// </summary>
public static class NodeRecordJson
{
    /// <summary>Longest text of a record in bytes.</summary>
    public const int MaxLength = 16 * 1024;

    public static string Write(NodeRecord record)
    {
        ArgumentNullException.ThrowIfNull(record);
        return JsonSerializer.Serialize(Fields.Of(record), RecordContext.Default.Fields);
    }

    /// <summary>The record, or null when the text is none.</summary>
    /// <param name="text">UTF-8.</param>
    public static NodeRecord? TryRead(ReadOnlySpan<byte> text)
    {
        try
        {
            return text.Length <= MaxLength ? JsonSerializer.Deserialize(text, RecordContext.Default.Fields)?.ToRecord() : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>The stored form. Names and meanings are append only.</summary>
    internal sealed class Fields
    {
        public string? Id { get; set; }

        public long Incarnation { get; set; }

        public long Revision { get; set; }

        public byte State { get; set; } = (byte)NodeState.Active;

        public string? Native { get; set; }

        public string? Http { get; set; }

        public string? Resp { get; set; }

        public string? Machine { get; set; }

        public string? Version { get; set; }

        public int MinProtocol { get; set; } = 1;

        public int MaxProtocol { get; set; } = 1;

        public TierCapacity[]? Tiers { get; set; }

        public static Fields Of(NodeRecord record) => new()
        {
            Id = record.Id.Value,
            Incarnation = record.Incarnation,
            Revision = record.Revision,
            State = (byte)record.State,
            Native = record.NativeAddress,
            Http = record.HttpAddress,
            Resp = record.RespAddress,
            Machine = record.Machine,
            Version = record.Version,
            MinProtocol = record.MinProtocol,
            MaxProtocol = record.MaxProtocol,
            Tiers = [.. record.Tiers],
        };

        public NodeRecord? ToRecord() => !NodeId.TryParse(Id, out var id, out _) ? null : new NodeRecord
        {
            Id = id,
            Incarnation = Incarnation,
            Revision = Revision,
            State = (NodeState)State,
            NativeAddress = Native ?? "",
            HttpAddress = Http ?? "",
            RespAddress = Resp ?? "",
            Machine = Machine ?? "",
            Version = Version ?? "",
            MinProtocol = MinProtocol,
            MaxProtocol = MaxProtocol,
            Tiers = [.. Tiers ?? []],
        };
    }
}

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(NodeRecordJson.Fields))]
internal sealed partial class RecordContext : JsonSerializerContext;
