using System.Buffers.Binary;
using KvMesh.Protocol;

namespace KvMesh.Remote.Redis.Blocks;

/// <summary>
/// What an encoded block in Redis decodes to: 16 bytes between names and table, little-endian. u32 bytes of the block, u32 CRC-32C over its
/// checksum table, u64 0.
/// </summary>
internal readonly record struct CodedIndex(int BlockBytes, uint TableChecksum)
{
    public const int Bytes = 16;

    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteInt32LittleEndian(destination, BlockBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[4..], TableChecksum);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[8..], 0);
    }

    /// <summary>False when it is none of this version, or of a block that is too long.</summary>
    public static bool TryRead(ReadOnlySpan<byte> source, out CodedIndex index)
    {
        index = default;
        if (source.Length < Bytes || BinaryPrimitives.ReadUInt64LittleEndian(source[8..]) != 0
            || BinaryPrimitives.ReadInt32LittleEndian(source) is not (> 0 and <= Limits.MaxBlockBytes))
        {
            return false;
        }

        index = new CodedIndex(BinaryPrimitives.ReadInt32LittleEndian(source), BinaryPrimitives.ReadUInt32LittleEndian(source[4..]));
        return true;
    }
}
