namespace KvMesh.Protocol;

/// <summary>Every maximum that two processes must agree on, with its reason. Options may lower them, never raise them.</summary>
public static class Limits
{
    /// <summary>Largest payload on every door: 256 tokens of the widest model we know of, with room to spare.</summary>
    public const int MaxBlockBytes = 128 * 1024 * 1024;

    /// <summary>Longest key: what S3 allows, the longest of all doors.</summary>
    public const int MaxKeyBytes = 1024;

    /// <summary>Longest tenant name, so that it always fits beside the key in a block's trailer.</summary>
    public const int MaxTenantBytes = 64;

    /// <summary>Granule of the arena and of direct disk I/O.</summary>
    public const int GranuleBytes = 4096;

    /// <summary>Payload bytes covered by one entry of a checksum table.</summary>
    public const int ChecksumChunkBytes = 64 * 1024;

    /// <summary>Entries of the largest checksum table.</summary>
    public const int MaxChecksumEntries = MaxBlockBytes / ChecksumChunkBytes;

    /// <summary>Bytes of one hash of a chain (SHA-256).</summary>
    public const int ChainHashBytes = 32;

    /// <summary>Most blocks named by one request: 4,096 blocks of 512 tokens are a 2 M token prompt.</summary>
    public const int MaxBlocksPerRequest = 4096;
}
