namespace KvMesh.Protocol.Admin;

/// <summary>What <c>GET /api/v1/blocks</c> answers for one block. Looking does not count as a use.</summary>
/// <param name="Key">Key bytes in base64url without padding.</param>
/// <param name="KeyText">The key as text when it is printable UTF-8; else null.</param>
/// <param name="Tiers">Where the bytes are: "host", "disk".</param>
/// <param name="ExpiresAt">When it goes; null never.</param>
/// <param name="TableChecksum">CRC-32C over the block's checksum table, in hexadecimal.</param>
public sealed record BlockStatus(
    string Tenant, string Key, string? KeyText, long PayloadBytes, IReadOnlyList<string> Tiers, bool IsContent, DateTimeOffset? ExpiresAt,
    long Hits, string TableChecksum, string Model, string Revision);

/// <summary>One page of a tenant's blocks.</summary>
/// <param name="NextCursor">Give it as <c>cursor</c> for the next page; "0" at the end.</param>
public sealed record BlockPage(string NextCursor, IReadOnlyList<BlockStatus> Blocks);
