using System.Buffers.Binary;
using KvMesh.Codecs.Layouts;

namespace KvMesh.Codecs.Blocks;

/// <summary>
/// Where the rows of one tensor of one layer are in an encoded block: a section, complete in itself, so that a layer can be fetched,
/// verified and decoded alone.
/// </summary>
/// <param name="Layer">The layer.</param>
/// <param name="Kind">Keys, values, a latent, a state.</param>
/// <param name="FirstHead">First head of the section.</param>
/// <param name="HeadCount">Heads of the section.</param>
/// <param name="Offset">Bytes from the start of the encoded block.</param>
/// <param name="Length">Bytes of the section: its strip entries and its strips.</param>
/// <param name="Checksum">CRC-32C of these bytes.</param>
public readonly record struct SectionEntry(int Layer, PlaneKind Kind, int FirstHead, int HeadCount, int Offset, int Length, uint Checksum)
{
    /// <summary>Bytes of an entry.</summary>
    public const int Bytes = 20;

    /// <summary>0 for the base of the tensor's strips, or which of their refinements this is.</summary>
    public byte Refinement { get; init; }

    /// <summary>Whether another section is of the same heads of the same tensor.</summary>
    internal bool IsOfSameTensor(in SectionEntry other) =>
        Layer == other.Layer && Kind == other.Kind && FirstHead == other.FirstHead && HeadCount == other.HeadCount;

    internal void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(destination, (ushort)Layer);
        destination[2] = (byte)Kind;
        destination[3] = Refinement;
        BinaryPrimitives.WriteUInt16LittleEndian(destination[4..], (ushort)FirstHead);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[6..], (ushort)HeadCount);
        BinaryPrimitives.WriteInt32LittleEndian(destination[8..], Offset);
        BinaryPrimitives.WriteInt32LittleEndian(destination[12..], Length);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[16..], Checksum);
    }

    internal static SectionEntry Read(ReadOnlySpan<byte> source) => new(
        BinaryPrimitives.ReadUInt16LittleEndian(source),
        (PlaneKind)source[2],
        BinaryPrimitives.ReadUInt16LittleEndian(source[4..]),
        BinaryPrimitives.ReadUInt16LittleEndian(source[6..]),
        BinaryPrimitives.ReadInt32LittleEndian(source[8..]),
        BinaryPrimitives.ReadInt32LittleEndian(source[12..]),
        BinaryPrimitives.ReadUInt32LittleEndian(source[16..]))
    { Refinement = source[3] };
}

/// <summary>One strip of a section: its length, whether it is stored as it is, and the checksum of what it decodes to.</summary>
internal readonly record struct StripEntry(int Length, bool IsRaw, uint DecodedChecksum)
{
    public const int Bytes = 8;

    private const uint RawBit = 0x8000_0000;

    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(destination, (uint)Length | (IsRaw ? RawBit : 0));
        BinaryPrimitives.WriteUInt32LittleEndian(destination[sizeof(uint)..], DecodedChecksum);
    }

    public static StripEntry Read(ReadOnlySpan<byte> source)
    {
        var length = BinaryPrimitives.ReadUInt32LittleEndian(source);
        return new StripEntry((int)(length & ~RawBit), (length & RawBit) != 0, BinaryPrimitives.ReadUInt32LittleEndian(source[sizeof(uint)..]));
    }
}
