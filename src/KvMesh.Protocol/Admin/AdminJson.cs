using System.Text.Json;
using System.Text.Json.Serialization;

namespace KvMesh.Protocol.Admin;

/// <summary>How the admin API writes and reads its values: camelCase names, nulls written, times in ISO 8601.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(NodeStatus))]
[JsonSerializable(typeof(IReadOnlyList<TierStatus>))]
[JsonSerializable(typeof(IReadOnlyList<ArenaStatus>))]
[JsonSerializable(typeof(IReadOnlyList<TenantStatus>))]
[JsonSerializable(typeof(IReadOnlyList<ConnectionStatus>))]
[JsonSerializable(typeof(IReadOnlyList<ConfigurationEntry>))]
[JsonSerializable(typeof(HistoryStatus))]
[JsonSerializable(typeof(PrefixList))]
[JsonSerializable(typeof(BlockStatus))]
[JsonSerializable(typeof(BlockPage))]
[JsonSerializable(typeof(PurgeRequest))]
[JsonSerializable(typeof(PurgeResult))]
[JsonSerializable(typeof(RemoveResult))]
[JsonSerializable(typeof(LiveUpdate))]
[JsonSerializable(typeof(ClusterStatus))]
[JsonSerializable(typeof(SequenceList))]
[JsonSerializable(typeof(SequenceStatus))]
[JsonSerializable(typeof(SegmentList))]
[JsonSerializable(typeof(SequenceOpenRequest))]
[JsonSerializable(typeof(SequenceAppendRequest))]
[JsonSerializable(typeof(SequenceForkRequest))]
[JsonSerializable(typeof(SequencePinRequest))]
[JsonSerializable(typeof(SequenceParkRequest))]
[JsonSerializable(typeof(SequenceResumeRequest))]
[JsonSerializable(typeof(ErrorBody))]
public sealed partial class AdminJson : JsonSerializerContext;
