using KvMesh.Protocol.Arena;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Keys;

namespace KvMesh.Engine.Disk;

/// <summary>
/// What the disk keeps of a block beside its extent: told at the write, given back at recovery and at reclamation. The spans
/// belong to whoever made the value and are good only during the call that it is passed to.
/// </summary>
internal readonly ref struct DiskRecord
{
    /// <summary>Name of the tenant, 1 to <see cref="Protocol.Limits.MaxTenantBytes"/> bytes of UTF-8.</summary>
    public ReadOnlySpan<byte> Tenant { get; init; }

    /// <summary>Key, at most <see cref="Protocol.Limits.MaxKeyBytes"/> bytes.</summary>
    public ReadOnlySpan<byte> Key { get; init; }

    /// <summary>Model, at most 255 bytes of UTF-8; empty when unknown.</summary>
    public ReadOnlySpan<byte> Model { get; init; }

    /// <summary>Revision of the model's weights, at most 255 bytes of UTF-8; empty when unknown.</summary>
    public ReadOnlySpan<byte> Revision { get; init; }

    public KeyDigest Digest { get; init; }

    /// <summary>Digest of the parent block, when <see cref="Flags"/> says that there is one.</summary>
    public KeyDigest Parent { get; init; }

    /// <summary>Bytes of the payload as it is stored.</summary>
    public long PayloadBytes { get; init; }

    /// <summary>Bytes of the extent that mean something: what is before the payload, payload, padding to 8, checksum table, tenant and key. Not rounded to granules.</summary>
    public long ExtentBytes { get; init; }

    /// <summary>CRC-32C over the checksum table.</summary>
    public uint TableChecksum { get; init; }

    /// <summary>CRC-32C over the trailer: table, tenant and key.</summary>
    public uint TrailerChecksum { get; init; }

    /// <summary>Kind of the codec that the payload is stored in; 0: it is stored as it is.</summary>
    public ushort Codec { get; init; }

    /// <summary>Bytes that an encoded payload decodes to.</summary>
    public long DecodedBytes { get; init; }

    /// <summary>CRC-32C over the table of what an encoded payload decodes to.</summary>
    public uint DecodedTableChecksum { get; init; }

    /// <summary>What the block has lost; null: nothing.</summary>
    public Loss? Loss { get; init; }

    /// <summary>CRC-32C over the table of what a block that lost something was before; 0 for others.</summary>
    public uint SourceTableChecksum { get; init; }

    public bool IsEncoded => Codec != 0;

    /// <summary>Bytes of the block's payload, however it is stored.</summary>
    public long BlockBytes => IsEncoded ? DecodedBytes : PayloadBytes;

    /// <summary>CRC-32C over the table of the block's payload, however it is stored.</summary>
    public uint BlockTableChecksum => IsEncoded ? DecodedTableChecksum : TableChecksum;

    public BlockFlags Flags { get; init; }

    public uint ScopeEpoch { get; init; }

    public uint Hits { get; init; }

    /// <summary>Unix milliseconds after which the block is gone; 0 never.</summary>
    public long ExpiresAt { get; init; }

    public long LastUse { get; init; }

    /// <summary>
    /// Order of the write among all of the directory, from 1; a copy made by reclamation keeps the number of its original. The tier
    /// gives it: in a record that is yet to be written 0, or what <see cref="DiskTier.BeginWrite"/> said.
    /// </summary>
    public long Sequence { get; init; }
}

/// <summary>What a header says of an extent that holds a block encoded.</summary>
/// <param name="PayloadBytes">Bytes of the encoded payload.</param>
/// <param name="ExtentBytes">Bytes of the extent that mean something.</param>
/// <param name="TableChecksum">CRC-32C over the table of the encoded payload.</param>
/// <param name="BlockBytes">Bytes that it decodes to.</param>
/// <param name="BlockTableChecksum">CRC-32C over the table of what it decodes to.</param>
internal readonly record struct StoredExtent(int PayloadBytes, int ExtentBytes, uint TableChecksum, int BlockBytes, uint BlockTableChecksum)
{
    /// <summary>Kind of the codec; 0: the extent holds the block as it is.</summary>
    public ushort Codec { get; init; }
}
