using System.Buffers.Binary;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Engine.Coding;

/// <summary>
/// What stands behind the names of an extent in the arena that holds a block encoded: what the bytes decode to. Little-endian, at the end of the
/// extent: u64 bytes of the block, u32 checksum of its table, u32 checksum of the table of what was sealed, u16 codec, six bytes 0, what is lost
/// (<see cref="Loss"/>; zeros: nothing), u32 0, u32 CRC-32C of all that.
/// </summary>
/// <param name="BlockBytes">Bytes that it decodes to.</param>
/// <param name="BlockTableChecksum">CRC-32C over the table of what it decodes to.</param>
/// <param name="SourceTableChecksum">The same of the bytes that were encoded; another one only where something is lost.</param>
/// <param name="Codec">Kind of the codec; never 0.</param>
/// <param name="Loss">What is lost; null: nothing.</param>
internal readonly record struct EncodedIndex(int BlockBytes, uint BlockTableChecksum, uint SourceTableChecksum, ushort Codec, Loss? Loss)
{
    public const int Bytes = 48;

    private const int LossOffset = 24;
    private const int ChecksumOffset = Bytes - sizeof(uint);

    public void Write(Span<byte> destination)
    {
        destination[..Bytes].Clear();
        BinaryPrimitives.WriteInt64LittleEndian(destination, BlockBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[8..], BlockTableChecksum);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[12..], SourceTableChecksum);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[16..], Codec);
        Loss?.Write(destination[LossOffset..]);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[ChecksumOffset..], Crc32C.Compute(destination[..ChecksumOffset]));
    }

    /// <summary>False when it is not what was written, or of a later version.</summary>
    public static bool TryRead(ReadOnlySpan<byte> source, out EncodedIndex index)
    {
        index = default;
        if (source.Length != Bytes
            || BinaryPrimitives.ReadUInt32LittleEndian(source[ChecksumOffset..]) != Crc32C.Compute(source[..ChecksumOffset])
            || BinaryPrimitives.ReadInt64LittleEndian(source) is not (>= 0 and <= Protocol.Limits.MaxBlockBytes and var bytes)
            || BinaryPrimitives.ReadUInt16LittleEndian(source[16..]) is not (> 0 and var codec)
            || source[18..LossOffset].ContainsAnyExcept((byte)0))
        {
            return false;
        }

        var written = source.Slice(LossOffset, Loss.Bytes);
        var loss = Loss.Read(written);
        if (loss is null && written.ContainsAnyExcept((byte)0))
        {
            return false;
        }

        index = new EncodedIndex(
            (int)bytes, BinaryPrimitives.ReadUInt32LittleEndian(source[8..]), BinaryPrimitives.ReadUInt32LittleEndian(source[12..]), codec, loss);
        return true;
    }
}
