using System.Runtime.InteropServices;
using KvMesh.Protocol;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Engine.Disk;

/// <summary>
/// First granule of a segment file, little-endian, the rest of it zeros. It is on the device before the file gets its name, so a segment
/// without a valid header is somebody else's file or damaged.
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 8)]
internal struct SegmentHeader
{
    /// <summary>"KVMSEGMT".</summary>
    public const ulong ExpectedMagic = 0x544D_4745_534D_564B;

    public const uint CurrentVersion = 2;

    private const int ChecksumOffset = 12;

    public ulong Magic;
    public uint Version;

    /// <summary>CRC-32C over the granule with this field as zero.</summary>
    public uint Checksum;

    /// <summary>The data directory whose secret made the digests.</summary>
    public Guid Store;

    public int Number;
    public uint Reserved;

    /// <summary>Bytes of the file when it was made; it may have been cut to what was used.</summary>
    public long SegmentBytes;

    /// <summary>Unix milliseconds.</summary>
    public long CreatedAt;

    public static void Write(Span<byte> granule, Guid store, int number, long segmentBytes, long createdAt)
    {
        granule[..Limits.GranuleBytes].Clear();
        var header = new SegmentHeader
        {
            Magic = ExpectedMagic,
            Version = CurrentVersion,
            Store = store,
            Number = number,
            SegmentBytes = segmentBytes,
            CreatedAt = createdAt,
        };
        MemoryMarshal.Write(granule, header);
        MemoryMarshal.AsRef<SegmentHeader>(granule).Checksum = ChecksumOf(granule);
    }

    /// <summary>What is wrong with the file of this number, or null when it is a segment of this store.</summary>
    public static string? Refusal(ReadOnlySpan<byte> granule, Guid store, int number)
    {
        var header = MemoryMarshal.Read<SegmentHeader>(granule);
        return header.Magic != ExpectedMagic ? "it is no segment"
            : header.Version != CurrentVersion ? $"it has version {header.Version}, this program reads version {CurrentVersion}"
            : header.Checksum != ChecksumOf(granule) ? "its header is damaged"
            : header.Store != store ? "it belongs to another data directory"
            : header.Number != number ? $"it is segment {header.Number} under another name"
            : null;
    }

    private static uint ChecksumOf(ReadOnlySpan<byte> granule)
    {
        ReadOnlySpan<byte> zero = [0, 0, 0, 0];
        var checksum = Crc32C.Append(Crc32C.Compute(granule[..ChecksumOffset]), zero);
        return Crc32C.Append(checksum, granule[(ChecksumOffset + sizeof(uint))..Limits.GranuleBytes]);
    }
}
