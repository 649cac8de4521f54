using System.Text.Json.Serialization;

namespace KvMesh.Protocol.Admin;

/// <summary>Body of <c>POST /api/v1/sequences</c>: creates a sequence, or takes the one that exists with the same parameters.</summary>
/// <param name="Model">Model of its blocks.</param>
/// <param name="Revision">Revision of the weights; null: none.</param>
/// <param name="LayoutHash">64 hexadecimal digits; null: zeros.</param>
/// <param name="Parts">Canonical parts of a block; null: 1.</param>
/// <param name="Holder">Who takes it; null: nobody in particular.</param>
/// <param name="IdleLimitSeconds">It ends after this long without a command; null: the node's default.</param>
/// <param name="LifetimeSeconds">It ends after this long; null: the node's default.</param>
/// <param name="RequestId">1 to 16 hexadecimal digits, drawn at random: the same again is the same command again. Null: not repeatable.</param>
/// <param name="LosslessOnly">Whether no copy of its blocks may lose anything; one that exists becomes so, and does not cease to be.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record SequenceOpenRequest(
    string? Name, string? Model, string? Revision = null, string? LayoutHash = null, int? Parts = null, string? Holder = null,
    double? IdleLimitSeconds = null, double? LifetimeSeconds = null, string? RequestId = null, bool LosslessOnly = false);

/// <summary>Body of <c>append</c>: a run of blocks behind the last one.</summary>
/// <param name="ParentHash">Hash of the block before; null for the first of the sequence.</param>
/// <param name="Bytes">Payload bytes of these blocks, all parts together.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record SequenceAppendRequest(
    long Epoch, long Blocks, long Tokens, long Bytes, string? ParentHash, string? FirstHash, string? LastHash, string? RequestId = null);

/// <summary>Body of <c>fork</c>.</summary>
/// <param name="Target">Name of the fork.</param>
/// <param name="Blocks">How many blocks it begins with.</param>
/// <param name="LastHash">Hash of the last of them; null for none.</param>
/// <param name="LosslessOnly">Whether no copy of its blocks may lose anything; the fork of a sequence that is so is so anyway.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record SequenceForkRequest(string? Target, long Blocks, string? LastHash, string? Holder = null, string? RequestId = null, bool LosslessOnly = false);

/// <summary>Body of <c>pin</c>.</summary>
/// <param name="Replicas">Copies, 1 to 16; 0 lifts the pin.</param>
/// <param name="Seconds">How long; not needed to lift it.</param>
/// <param name="Epoch">The owner's; null: an operator's pin.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record SequencePinRequest(int Replicas, double? Seconds = null, long? Epoch = null, string? RequestId = null);

/// <summary>Body of <c>park</c>.</summary>
/// <param name="NextHolder">Who will probably resume it.</param>
/// <param name="ReturnInSeconds">When, from now.</param>
/// <param name="Epoch">The owner's; null: an operator's.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record SequenceParkRequest(string? NextHolder = null, double? ReturnInSeconds = null, long? Epoch = null, string? RequestId = null);

/// <summary>Body of <c>resume</c>.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record SequenceResumeRequest(string? Holder = null, string? RequestId = null);
