namespace KvMesh.Protocol.Admin;

/// <summary>A group of blocks that are used together, by hits.</summary>
/// <param name="Kind">"native" when keys name model, revision and layout; "opaque" when they are the client's own bytes.</param>
/// <param name="Model">Model of the blocks; empty when unknown.</param>
/// <param name="Prefix">What the keys have in common besides: the part of a native key, or the text before the hash of an opaque one.</param>
public sealed record PrefixStatus(
    string Tenant, string Kind, string Model, string Revision, string Prefix, long Hits, long Blocks, long Bytes);

/// <summary>What <c>GET /api/v1/prefixes</c> answers.</summary>
/// <param name="SampledBlocks">Blocks looked at for this answer.</param>
/// <param name="IsComplete">Whether these were all blocks of the node.</param>
public sealed record PrefixList(DateTimeOffset TakenAt, long SampledBlocks, bool IsComplete, IReadOnlyList<PrefixStatus> Prefixes);
