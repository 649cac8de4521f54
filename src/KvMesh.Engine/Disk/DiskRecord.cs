using KvMesh.Protocol.Arena;
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

    public long PayloadBytes { get; init; }

    /// <summary>Bytes of the extent that mean something: payload, padding to 8, checksum table, tenant and key. Not rounded to granules.</summary>
    public long ExtentBytes { get; init; }

    /// <summary>CRC-32C over the checksum table.</summary>
    public uint TableChecksum { get; init; }

    /// <summary>CRC-32C over the trailer: table, tenant and key.</summary>
    public uint TrailerChecksum { get; init; }

    public BlockFlags Flags { get; init; }

    public uint ScopeEpoch { get; init; }

    public uint Hits { get; init; }

    /// <summary>Unix milliseconds after which the block is gone; 0 never.</summary>
    public long ExpiresAt { get; init; }

    public long LastUse { get; init; }

    /// <summary>
    /// Order of the write among all of the directory, from 1; a copy made by reclamation keeps the number of its original. The tier
    /// gives it: 0 in a record that is yet to be written.
    /// </summary>
    public long Sequence { get; init; }
}
