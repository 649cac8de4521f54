using System.Buffers.Binary;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Protocol.Native;

/// <summary>
/// The first 32 bytes of every frame, little-endian: u32 magic, u8 version, u8 verb, u8 flags, u8 status, u64 request id,
/// u64 payload bytes, u32 head bytes, u32 CRC-32C of the 28 bytes before it. A head of that length and its CRC-32C follow when it
/// is not empty, then the payload. No version will move these fields.
/// </summary>
public readonly record struct FrameHeader
{
    /// <summary>Bytes on the wire.</summary>
    public const int Bytes = 32;

    /// <summary>"KVMF", little-endian.</summary>
    public const uint Magic = 0x464D_564B;

    private const int ChecksumOffset = 28;

    // 0 stands for this program's own, so that a header that names none is of that.
    private readonly byte _version;

    /// <summary>Version of the protocol in which the frame is written.</summary>
    public byte Version
    {
        get => _version == 0 ? NativeLimits.Version : _version;
        init => _version = value == NativeLimits.Version ? (byte)0 : value;
    }

    public Verb Verb { get; init; }

    public FrameFlags Flags { get; init; }

    public NativeStatus Status { get; init; }

    public ulong RequestId { get; init; }

    public long PayloadBytes { get; init; }

    public int HeadBytes { get; init; }

    /// <summary>Bytes of the head with its checksum; 0 without a head.</summary>
    public int HeadSectionBytes => HeadBytes == 0 ? 0 : HeadBytes + NativeLimits.HeadChecksumBytes;

    public bool IsResponse => (Flags & FrameFlags.Response) != 0;

    public bool HasMore => (Flags & FrameFlags.More) != 0;

    public bool WantsReply => (Flags & FrameFlags.NoReply) == 0;

    /// <summary>Reads a header that came over the wire. Whatever the fault, the stream cannot be followed any further.</summary>
    public static FrameFault TryRead(ReadOnlySpan<byte> source, out FrameHeader header) => TryRead(source, NativeVersions.Own, out header);

    /// <inheritdoc cref="TryRead(ReadOnlySpan{byte}, out FrameHeader)"/>
    /// <param name="versions">Those that may come.</param>
    public static FrameFault TryRead(ReadOnlySpan<byte> source, NativeVersions versions, out FrameHeader header)
    {
        header = default;
        if (BinaryPrimitives.ReadUInt32LittleEndian(source) != Magic)
        {
            return FrameFault.WrongMagic;
        }

        if (Crc32C.Compute(source[..ChecksumOffset]) != BinaryPrimitives.ReadUInt32LittleEndian(source[ChecksumOffset..]))
        {
            return FrameFault.WrongHeaderChecksum;
        }

        header = new FrameHeader
        {
            Version = source[4],
            Verb = (Verb)source[5],
            Flags = (FrameFlags)source[6],
            Status = (NativeStatus)source[7],
            RequestId = BinaryPrimitives.ReadUInt64LittleEndian(source[8..]),
        };
        if (!versions.Include(source[4]))
        {
            return FrameFault.UnsupportedVersion;
        }

        var payloadBytes = BinaryPrimitives.ReadUInt64LittleEndian(source[16..]);
        var headBytes = BinaryPrimitives.ReadUInt32LittleEndian(source[24..]);
        if (headBytes > NativeLimits.MaxHeadBytes)
        {
            return FrameFault.HeadTooLong;
        }

        if (payloadBytes > NativeLimits.MaxPayloadBytes)
        {
            return FrameFault.PayloadTooLong;
        }

        header = header with { PayloadBytes = (long)payloadBytes, HeadBytes = (int)headBytes };
        return FrameFault.None;
    }

    /// <summary>Writes the header, checksum included, into the first <see cref="Bytes"/> of <paramref name="destination"/>.</summary>
    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(destination, Magic);
        destination[4] = Version;
        destination[5] = (byte)Verb;
        destination[6] = (byte)Flags;
        destination[7] = (byte)Status;
        BinaryPrimitives.WriteUInt64LittleEndian(destination[8..], RequestId);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[16..], (ulong)PayloadBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[24..], (uint)HeadBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[ChecksumOffset..], Crc32C.Compute(destination[..ChecksumOffset]));
    }
}

/// <summary>Why a stream of frames cannot be followed any further.</summary>
public enum FrameFault
{
    None,
    WrongMagic,
    WrongHeaderChecksum,
    UnsupportedVersion,
    HeadTooLong,
    PayloadTooLong,
    WrongHeadChecksum,
}
