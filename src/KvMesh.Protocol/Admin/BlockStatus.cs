namespace KvMesh.Protocol.Admin;

/// <summary>What <c>GET /api/v1/blocks</c> answers for one block. Looking does not count as a use.</summary>
/// <param name="Key">Key bytes in base64url without padding.</param>
/// <param name="KeyText">The key as text when it is printable UTF-8; else null.</param>
/// <param name="Tiers">Where the bytes are: "host", "disk", "gpu" for the memory of a worker that is connected to the node.</param>
/// <param name="ExpiresAt">When it goes; null never.</param>
/// <param name="TableChecksum">CRC-32C over the block's checksum table, in hexadecimal; empty where only a worker has the block.</param>
public sealed record BlockStatus(
    string Tenant, string Key, string? KeyText, long PayloadBytes, IReadOnlyList<string> Tiers, bool IsContent, DateTimeOffset? ExpiresAt,
    long Hits, string TableChecksum, string Model, string Revision)
{
    /// <summary>How it lies on disk, when it was asked for alone; null: as it is, or not at all.</summary>
    public StoredFormStatus? OnDisk { get; init; }

    /// <summary>What it has lost; null: nothing.</summary>
    public BlockLossStatus? Loss { get; init; }

    /// <summary>What it will have lost when its copy in RAM goes; null: nothing more.</summary>
    public BlockLossStatus? LossBelow { get; init; }

    /// <summary>Whether no copy of it may lose anything.</summary>
    public bool LosslessOnly { get; init; }
}

/// <summary>An encoding of a block.</summary>
/// <param name="Codec">Kind of the codec, by name.</param>
public sealed record StoredFormStatus(string Codec, long Bytes);

/// <summary>Relative errors of a block, as they were measured when it was encoded; null where they were not.</summary>
/// <param name="Codec">Kind of the codec that lost it, by name.</param>
/// <param name="Outputs">Of attention with queries made from the block's own keys.</param>
public sealed record BlockLossStatus(string Codec, double? Keys, double? Values, double? Outputs);

/// <summary>One page of a tenant's blocks.</summary>
/// <param name="NextCursor">Give it as <c>cursor</c> for the next page; "0" at the end.</param>
public sealed record BlockPage(string NextCursor, IReadOnlyList<BlockStatus> Blocks);
