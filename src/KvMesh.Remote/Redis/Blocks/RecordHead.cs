using System.Buffers.Binary;
using System.Runtime.InteropServices;
using KvMesh.Protocol;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Remote.Redis.Blocks;

/// <summary>What a head says of a copy. Stored in Redis: append only.</summary>
[Flags]
internal enum RecordFlags : byte
{
    None = 0,

    /// <summary>It has lost something, which stands behind the <see cref="CodedIndex"/>.</summary>
    Lossy = 1,

    /// <summary>No copy of the block may lose anything.</summary>
    LosslessOnly = 2,

    /// <summary>What this version knows. A head with more is a later version's, and is none here.</summary>
    All = Lossy | LosslessOnly,
}

/// <summary>
/// The first 64 bytes of a block in Redis, little-endian, in clear. They say how long everything is, which other parts belong to it,
/// and whether a purge has made it void. Version 1:
/// <code>
///  0 u32 "KVRB"   4 u16 version   6 u8 kind of codec (0: as it is)   7 u8 flags (1: it has lost something, 2: no copy of it may lose anything)
///  8 u64 generation: random per write; the keys of the other parts carry it, so that parts of two writers never mix
/// 16 u64 scope stamp: see ScopeStamps
/// 24 u64 key id; 0: not encrypted
/// 32 i64 expiry in Unix milliseconds; 0: none
/// 40 u32 payload bytes   44 u32 CRC-32C over the checksum table   48 u32 bytes of the names   52 u16 parts
/// 54 u48 number in the log of removals up to which the writer had carried them out   60 u32 CRC-32C over bytes 0 to 59
/// </code>
/// Payload and table are as they are stored. Behind it: [nonce ‖ tag] names ‖ <see cref="CodedIndex"/>, with a codec or a loss ‖ the loss, if there is one ‖ checksum table, then [nonce ‖ tag] first part of the payload. Every other part is a value of its own:
/// [nonce ‖ tag] payload. What is in brackets is there when the key id is not 0.
/// </summary>
internal readonly record struct RecordHead(
    ulong Generation, ulong ScopeStamp, ulong KeyId, long ExpiresAt, int PayloadBytes, uint TableChecksum, int NameBytes, long Reached = 0, byte Codec = 0,
    RecordFlags Flags = RecordFlags.None)
{
    public const int Bytes = 64;

    /// <summary>Payload bytes of one part: with head, names and table a value stays within 8 MiB, and chunks of the table are never torn.</summary>
    public const int PartBytes = (8 * 1024 * 1024) - Limits.ChecksumChunkBytes;

    /// <summary>Longest value that is one of ours.</summary>
    public const int MaxValueBytes = 8 * 1024 * 1024;

    /// <summary>Nonce and tag before each encrypted piece.</summary>
    public const int SealBytes = RecordCipher.NonceBytes + RecordCipher.TagBytes;

    private const uint Magic = 0x4252564B;
    private const ushort Version = 1;
    private const int ChecksumOffset = 60;

    public bool IsEncrypted => KeyId != 0;

    public int TableBytes => ChecksumTable.EntryCount(PayloadBytes) * sizeof(uint);

    public bool IsEncoded => Codec != 0;

    public bool IsLossy => (Flags & RecordFlags.Lossy) != 0;

    /// <summary>Bytes between names and table.</summary>
    public int CodedBytes => (IsEncoded || IsLossy ? CodedIndex.Bytes : 0) + (IsLossy ? Loss.Bytes : 0);

    /// <summary>Bytes of everything between the head and the payload together.</summary>
    public int IndexBytes => NameBytes + CodedBytes + TableBytes;

    /// <summary>Values that the payload takes; an empty payload takes one.</summary>
    public int Parts => Math.Max(1, (PayloadBytes + PartBytes - 1) / PartBytes);

    private int PieceSeal => IsEncrypted ? SealBytes : 0;

    /// <summary>Bytes of the first value.</summary>
    public int HeadValueBytes => Bytes + PieceSeal + IndexBytes + PieceSeal + PayloadBytesOf(0);

    public int PayloadBytesOf(int part) => Math.Min(PartBytes, PayloadBytes - (part * PartBytes));

    /// <summary>Bytes of the value of a part after the first.</summary>
    public int PartValueBytes(int part) => PieceSeal + PayloadBytesOf(part);

    public void Write(Span<byte> destination)
    {
        destination[..Bytes].Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(destination, Magic);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[4..], Version);
        destination[6] = Codec;
        destination[7] = (byte)Flags;
        BinaryPrimitives.WriteUInt64LittleEndian(destination[8..], Generation);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[16..], ScopeStamp);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[24..], KeyId);
        BinaryPrimitives.WriteInt64LittleEndian(destination[32..], ExpiresAt);
        BinaryPrimitives.WriteInt32LittleEndian(destination[40..], PayloadBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[44..], TableChecksum);
        BinaryPrimitives.WriteInt32LittleEndian(destination[48..], NameBytes);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[52..], (ushort)Parts);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[54..], (ushort)Reached);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[56..], (uint)(Reached >> 16));
        BinaryPrimitives.WriteUInt32LittleEndian(destination[ChecksumOffset..], Crc32C.Compute(destination[..ChecksumOffset]));
    }

    /// <summary>Reads a head that came out of Redis. False when it is no head of this version, or when a length in it cannot be.</summary>
    public static bool TryRead(ReadOnlySpan<byte> source, out RecordHead head)
    {
        head = default;
        if (source.Length < Bytes
            || BinaryPrimitives.ReadUInt32LittleEndian(source) != Magic
            || BinaryPrimitives.ReadUInt16LittleEndian(source[4..]) != Version
            || BinaryPrimitives.ReadUInt32LittleEndian(source[ChecksumOffset..]) != Crc32C.Compute(source[..ChecksumOffset]))
        {
            return false;
        }

        var read = new RecordHead(
            BinaryPrimitives.ReadUInt64LittleEndian(source[8..]),
            BinaryPrimitives.ReadUInt64LittleEndian(source[16..]),
            BinaryPrimitives.ReadUInt64LittleEndian(source[24..]),
            BinaryPrimitives.ReadInt64LittleEndian(source[32..]),
            BinaryPrimitives.ReadInt32LittleEndian(source[40..]),
            BinaryPrimitives.ReadUInt32LittleEndian(source[44..]),
            BinaryPrimitives.ReadInt32LittleEndian(source[48..]),
            BinaryPrimitives.ReadUInt16LittleEndian(source[54..]) | ((long)BinaryPrimitives.ReadUInt32LittleEndian(source[56..]) << 16),
            source[6],
            (RecordFlags)source[7]);
        if (read.PayloadBytes is < 0 or > Limits.MaxBlockBytes
            || read.NameBytes is < RecordNames.FixedBytes or > RecordNames.MaxBytes
            || read.ExpiresAt < 0
            || (read.Flags & ~RecordFlags.All) != 0
            || BinaryPrimitives.ReadUInt16LittleEndian(source[52..]) != read.Parts)
        {
            return false;
        }

        head = read;
        return true;
    }

    /// <summary>The entries of the table as they lie in a value: every machine that this runs on is little-endian.</summary>
    public static ReadOnlySpan<byte> TableAsBytes(ReadOnlySpan<uint> table) => MemoryMarshal.AsBytes(table);
}
