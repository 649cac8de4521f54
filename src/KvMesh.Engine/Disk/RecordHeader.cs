using System.Runtime.InteropServices;
using KvMesh.Protocol;
using KvMesh.Protocol.Arena;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Keys;

namespace KvMesh.Engine.Disk;

/// <summary>What follows a header. Stored on disk: append only.</summary>
internal enum RecordKind : uint
{
    Live = 1,

    /// <summary>A record whose header was overwritten because its removal could not be logged.</summary>
    Buried = 2,
}

/// <summary>
/// The fixed part of a record header, little-endian, at the start of a granule. In a record of an encoded block <see cref="EncodedFields"/> follow,
/// and in one of a block that lost something its <see cref="Loss"/> behind them; then tenant, model, revision and key, in this order; then, at the next multiple of 8, the extent when it fits the granule, and zeros.
/// Otherwise the extent begins in the next granule.
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 8)]
internal struct RecordFields
{
    /// <summary>"KVMRECRD".</summary>
    public const ulong ExpectedMagic = 0x4452_4345_524D_564B;

    /// <summary>Version of a record whose extent is the block's own.</summary>
    public const uint RawVersion = 1;

    /// <summary>Version of a record whose extent holds the block's payload encoded.</summary>
    public const uint EncodedVersion = 2;

    /// <summary>Version of a record of a block that lost something, encoded or not. Programs that know no losses do not read it.</summary>
    public const uint LossyVersion = 3;

    public ulong Magic;
    public uint Version;

    /// <summary>CRC-32C over the granule with this field as zero.</summary>
    public uint Checksum;

    /// <summary>The data directory. Clients never see it, so a payload cannot pass for a record.</summary>
    public Guid Store;

    /// <summary>Segment and offset where the record was written: a granule that strayed is no record.</summary>
    public int Segment;

    public RecordKind Kind;
    public long Offset;
    public long Sequence;

    /// <summary>Bytes up to the next record.</summary>
    public long RecordBytes;

    public KeyDigest Digest;
    public KeyDigest Parent;
    public long PayloadBytes;
    public long ExtentBytes;
    public uint TableChecksum;
    public uint TrailerChecksum;
    public BlockFlags Flags;
    public uint ScopeEpoch;
    public uint Hits;
    public ushort TenantBytes;
    public ushort KeyBytes;
    public ushort ModelBytes;
    public ushort RevisionBytes;
    public uint Reserved;
    public long ExpiresAt;
    public long LastUse;

    public readonly int NameBytes => TenantBytes + ModelBytes + RevisionBytes + KeyBytes;

    /// <summary>Bytes before the names.</summary>
    public readonly int FixedBytes => RecordHeader.FixedBytesOf(Version);
}

/// <summary>What a record of an encoded block says besides: there, payload, extent and checksums of <see cref="RecordFields"/> are of the encoded bytes.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 8)]
internal struct EncodedFields
{
    /// <summary>Bytes of this structure.</summary>
    public const int Bytes = 24;

    /// <summary>Bytes of the block's own payload.</summary>
    public long BlockBytes;

    /// <summary>CRC-32C over the table of the block's own payload.</summary>
    public uint BlockTableChecksum;

    /// <summary>Kind of the codec; the encoded bytes say the rest. 0: the block, which lost something, is stored as it is.</summary>
    public ushort Codec;

    /// <summary>0. Other values are of later versions, whose records are not read.</summary>
    public ushort Flags;

    /// <summary>CRC-32C over the table of what the block was before it lost something; 0 in a record of one that did not.</summary>
    public uint SourceTableChecksum;
    public uint Reserved;
}

/// <summary>Writes and reads record headers. What is read came off a disk: every length is checked before it is used.</summary>
internal static class RecordHeader
{
    /// <summary>Bytes of <see cref="RecordFields"/>.</summary>
    public const int FixedBytes = 160;

    /// <summary>Longest model and revision, as in a block's scope.</summary>
    public const int MaxNameBytes = BlockScope.MaxNameBytes;

    /// <summary>Most bytes of an extent that are not payload, with room for an arena that rounds up.</summary>
    private const long MaxTrailerBytes = 1 << 20;

    private const int ChecksumOffset = 12;

    /// <summary>Bytes of a record on disk: one granule when header and extent fit into it together.</summary>
    public static long RecordBytes(in DiskRecord record) => RecordBytes(PrefixBytes(record), record.ExtentBytes);

    /// <summary>
    /// Writes everything but the place into a zeroed granule, and the extent too when it fits. Returns the bytes up to the end of the key.
    /// </summary>
    /// <exception cref="ArgumentException">The record breaks a limit: a bug of the caller.</exception>
    public static int Compose(Span<byte> granule, in DiskRecord record, ReadOnlySpan<byte> extent)
    {
        ThrowIfBeyondLimits(record, extent.Length);
        var fields = new RecordFields
        {
            Magic = RecordFields.ExpectedMagic,
            Version = VersionOf(record),
            Kind = RecordKind.Live,
            RecordBytes = RecordBytes(record),
            Digest = record.Digest,
            Parent = record.Parent,
            PayloadBytes = record.PayloadBytes,
            ExtentBytes = record.ExtentBytes,
            TableChecksum = record.TableChecksum,
            TrailerChecksum = record.TrailerChecksum,
            Flags = record.Flags,
            ScopeEpoch = record.ScopeEpoch,
            Hits = record.Hits,
            TenantBytes = (ushort)record.Tenant.Length,
            KeyBytes = (ushort)record.Key.Length,
            ModelBytes = (ushort)record.Model.Length,
            RevisionBytes = (ushort)record.Revision.Length,
            ExpiresAt = record.ExpiresAt,
            LastUse = record.LastUse,
        };
        MemoryMarshal.Write(granule, fields);
        if (fields.Version != RecordFields.RawVersion)
        {
            MemoryMarshal.Write(
                granule[FixedBytes..],
                new EncodedFields
                {
                    BlockBytes = record.BlockBytes,
                    BlockTableChecksum = record.BlockTableChecksum,
                    Codec = record.Codec,
                    SourceTableChecksum = record.SourceTableChecksum,
                });
            record.Loss?.Write(granule[(FixedBytes + EncodedFields.Bytes)..]);
        }

        var names = granule[fields.FixedBytes..];
        record.Tenant.CopyTo(names);
        record.Model.CopyTo(names = names[record.Tenant.Length..]);
        record.Revision.CopyTo(names = names[record.Model.Length..]);
        record.Key.CopyTo(names[record.Revision.Length..]);

        var prefix = PrefixBytes(record);
        if (fields.RecordBytes == Limits.GranuleBytes)
        {
            extent[..(int)record.ExtentBytes].CopyTo(granule[InlineOffset(prefix)..]);
        }

        return prefix;
    }

    /// <summary>Says how often the block was used, in a granule that is to be placed after it.</summary>
    public static void SetHits(Span<byte> granule, uint hits) => MemoryMarshal.AsRef<RecordFields>(granule).Hits = hits;

    /// <summary>Completes a composed granule with the place it is written to.</summary>
    public static void Place(Span<byte> granule, Guid store, int segment, long offset, long sequence)
    {
        ref var fields = ref MemoryMarshal.AsRef<RecordFields>(granule);
        fields.Store = store;
        fields.Segment = segment;
        fields.Offset = offset;
        fields.Sequence = sequence;
        fields.Checksum = ChecksumOf(granule);
    }

    /// <summary>Turns a valid header into one that says its record is dead, without changing its length.</summary>
    public static void Bury(Span<byte> granule)
    {
        ref var fields = ref MemoryMarshal.AsRef<RecordFields>(granule);
        fields.Kind = RecordKind.Buried;
        fields.Checksum = ChecksumOf(granule);
    }

    /// <summary>Reads the header that should be at this place; false when the granule is anything else.</summary>
    public static bool TryRead(ReadOnlySpan<byte> granule, Guid store, int segment, long offset, out RecordFields fields, out DiskRecord record) =>
        TryReadPrefix(granule, out fields, out record)
        && fields.Store == store && fields.Segment == segment && fields.Offset == offset
        && fields.Checksum == ChecksumOf(granule);

    /// <summary>Reads header fields and names from bytes that something else vouches for.</summary>
    public static bool TryReadPrefix(ReadOnlySpan<byte> prefix, out RecordFields fields, out DiskRecord record)
    {
        record = default;
        fields = default;
        if (prefix.Length < FixedBytes)
        {
            return false;
        }

        fields = MemoryMarshal.Read<RecordFields>(prefix);
        if (!IsWellFormed(fields) || prefix.Length < PrefixBytes(fields))
        {
            return false;
        }

        var encoded = default(EncodedFields);
        Loss? loss = null;
        if (fields.Version != RecordFields.RawVersion)
        {
            encoded = MemoryMarshal.Read<EncodedFields>(prefix[FixedBytes..]);
            loss = fields.Version == RecordFields.LossyVersion ? Loss.Read(prefix[(FixedBytes + EncodedFields.Bytes)..]) : null;
            if (!IsWellFormed(encoded, fields, loss))
            {
                return false;
            }
        }

        var names = prefix[fields.FixedBytes..];
        record = new DiskRecord
        {
            Tenant = names[..fields.TenantBytes],
            Model = names.Slice(fields.TenantBytes, fields.ModelBytes),
            Revision = names.Slice(fields.TenantBytes + fields.ModelBytes, fields.RevisionBytes),
            Key = names.Slice(fields.TenantBytes + fields.ModelBytes + fields.RevisionBytes, fields.KeyBytes),
            Digest = fields.Digest,
            Parent = fields.Parent,
            PayloadBytes = fields.PayloadBytes,
            ExtentBytes = fields.ExtentBytes,
            TableChecksum = fields.TableChecksum,
            TrailerChecksum = fields.TrailerChecksum,
            Flags = fields.Flags,
            ScopeEpoch = fields.ScopeEpoch,
            Hits = fields.Hits,
            ExpiresAt = fields.ExpiresAt,
            LastUse = fields.LastUse,
            Sequence = fields.Sequence,
            Codec = encoded.Codec,
            DecodedBytes = encoded.BlockBytes,
            DecodedTableChecksum = encoded.BlockTableChecksum,
            SourceTableChecksum = encoded.SourceTableChecksum,
            Loss = loss,
        };
        return true;
    }

    /// <summary>Whether the header that these bytes begin with is of an encoded block.</summary>
    public static bool IsEncoded(ReadOnlySpan<byte> prefix) =>
        MemoryMarshal.Read<RecordFields>(prefix).Version is not RecordFields.RawVersion && MemoryMarshal.Read<EncodedFields>(prefix[FixedBytes..]).Codec != 0;

    /// <summary>Bytes before the names in a record of a version.</summary>
    public static int FixedBytesOf(uint version) => version switch
    {
        RecordFields.EncodedVersion => FixedBytes + EncodedFields.Bytes,
        RecordFields.LossyVersion => FixedBytes + EncodedFields.Bytes + Loss.Bytes,
        _ => FixedBytes,
    };

    /// <summary>Bytes of the header up to the end of the key.</summary>
    public static int PrefixBytes(in RecordFields fields) => fields.FixedBytes + fields.NameBytes;

    /// <summary>The extent inside a granule whose record takes no other.</summary>
    public static ReadOnlySpan<byte> InlineExtent(ReadOnlySpan<byte> granule, in RecordFields fields) =>
        granule.Slice(InlineOffset(PrefixBytes(fields)), (int)fields.ExtentBytes);

    private static bool IsWellFormed(in RecordFields fields) =>
        fields.Magic == RecordFields.ExpectedMagic && fields.Version is RecordFields.RawVersion or RecordFields.EncodedVersion or RecordFields.LossyVersion
        && fields.Kind is RecordKind.Live or RecordKind.Buried
        && fields.TenantBytes <= Limits.MaxTenantBytes && fields.KeyBytes <= Limits.MaxKeyBytes
        && fields.ModelBytes <= MaxNameBytes && fields.RevisionBytes <= MaxNameBytes
        && fields.PayloadBytes is >= 0 and <= Limits.MaxBlockBytes
        && fields.ExtentBytes >= fields.PayloadBytes && fields.ExtentBytes <= fields.PayloadBytes + MaxTrailerBytes
        && fields.Sequence > 0
        && fields.RecordBytes == RecordBytes(PrefixBytes(fields), fields.ExtentBytes);

    private static bool IsWellFormed(in EncodedFields encoded, in RecordFields fields, Loss? loss) =>
        encoded.Flags == 0 && encoded.Reserved == 0 && encoded.BlockBytes <= Limits.MaxBlockBytes
        && (fields.Version == RecordFields.LossyVersion ? loss is not null : encoded is { SourceTableChecksum: 0, Codec: not 0 })
        && (encoded.Codec != 0
            ? encoded.BlockBytes > fields.PayloadBytes
            : encoded.BlockBytes == fields.PayloadBytes && encoded.BlockTableChecksum == fields.TableChecksum);

    private static int PrefixBytes(in DiskRecord record) =>
        FixedBytesOf(VersionOf(record)) + record.Tenant.Length + record.Model.Length + record.Revision.Length + record.Key.Length;

    private static uint VersionOf(in DiskRecord record) =>
        record.Loss is not null ? RecordFields.LossyVersion : record.IsEncoded ? RecordFields.EncodedVersion : RecordFields.RawVersion;

    private static long RecordBytes(int prefixBytes, long extentBytes) =>
        InlineOffset(prefixBytes) + extentBytes <= Limits.GranuleBytes ? Limits.GranuleBytes : Limits.GranuleBytes + Granules.RoundUp(extentBytes);

    private static int InlineOffset(int prefixBytes) => (prefixBytes + 7) & ~7;

    private static uint ChecksumOf(ReadOnlySpan<byte> granule)
    {
        ReadOnlySpan<byte> zero = [0, 0, 0, 0];
        var checksum = Crc32C.Append(Crc32C.Compute(granule[..ChecksumOffset]), zero);
        return Crc32C.Append(checksum, granule[(ChecksumOffset + sizeof(uint))..Limits.GranuleBytes]);
    }

    private static void ThrowIfBeyondLimits(in DiskRecord record, long extentLength)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(record.Tenant.Length, Limits.MaxTenantBytes, nameof(record.Tenant));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(record.Key.Length, Limits.MaxKeyBytes, nameof(record.Key));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(record.Model.Length, MaxNameBytes, nameof(record.Model));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(record.Revision.Length, MaxNameBytes, nameof(record.Revision));
        ArgumentOutOfRangeException.ThrowIfNegative(record.PayloadBytes, nameof(record.PayloadBytes));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(record.PayloadBytes, Limits.MaxBlockBytes, nameof(record.PayloadBytes));
        ArgumentOutOfRangeException.ThrowIfLessThan(record.ExtentBytes, record.PayloadBytes, nameof(record.ExtentBytes));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(record.ExtentBytes, record.PayloadBytes + MaxTrailerBytes, nameof(record.ExtentBytes));
        ArgumentOutOfRangeException.ThrowIfLessThan(extentLength, record.ExtentBytes, nameof(extentLength));
        if (record.IsEncoded)
        {
            ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(record.DecodedBytes, record.PayloadBytes, nameof(record.DecodedBytes));
            ArgumentOutOfRangeException.ThrowIfGreaterThan(record.DecodedBytes, Limits.MaxBlockBytes, nameof(record.DecodedBytes));
        }
    }
}
