using System.Buffers.Binary;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Protocol.Native;

/// <summary>
/// Stands for the first sections of a block: the CRC-32C over their CRC-32Cs, u32 little-endian in order; 0 for none. Two writers of one content may have computed
/// other bytes, and a reader goes from one to another only with the same proof.
/// </summary>
public static class SectionProof
{
    /// <summary>The proof of one section more.</summary>
    public static uint Append(uint proof, uint sectionChecksum)
    {
        Span<byte> bytes = stackalloc byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, sectionChecksum);
        return Crc32C.Append(proof, bytes);
    }
}
