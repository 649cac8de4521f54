using System.Buffers.Binary;

namespace KvMesh.Protocol.Integrity;

/// <summary>
/// What a lossy copy of a block has lost, as it was measured when the block was encoded; it goes with the copy wherever that goes. A copy without one
/// is exact: its bytes are those that a writer sealed. Sixteen bytes wherever it is stored or sent, little-endian: u16 codec, u16 0, and the
/// three errors as singles.
/// </summary>
/// <param name="Codec">Kind of the codec that lost it, as <c>Codecs/Blocks/CodecId.cs</c> numbers them; never 0.</param>
/// <param name="Keys">‖K − K̂‖ ÷ ‖K‖; NaN when it was not measured.</param>
/// <param name="Values">‖V − V̂‖ ÷ ‖V‖; NaN when it was not measured.</param>
/// <param name="Outputs">The same of outputs of attention with queries made from the block's own keys; NaN when it was not measured.</param>
public sealed record Loss(ushort Codec, float Keys, float Values, float Outputs)
{
    /// <summary>Bytes of the stored form.</summary>
    public const int Bytes = 16;

    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(destination, Codec);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[2..], 0);
        BinaryPrimitives.WriteSingleLittleEndian(destination[4..], Keys);
        BinaryPrimitives.WriteSingleLittleEndian(destination[8..], Values);
        BinaryPrimitives.WriteSingleLittleEndian(destination[12..], Outputs);
    }

    /// <summary>Null when the bytes are none that this version wrote.</summary>
    public static Loss? Read(ReadOnlySpan<byte> source)
    {
        if (source.Length < Bytes || BinaryPrimitives.ReadUInt16LittleEndian(source) == 0 || BinaryPrimitives.ReadUInt16LittleEndian(source[2..]) != 0)
        {
            return null;
        }

        var loss = new Loss(
            BinaryPrimitives.ReadUInt16LittleEndian(source), BinaryPrimitives.ReadSingleLittleEndian(source[4..]),
            BinaryPrimitives.ReadSingleLittleEndian(source[8..]), BinaryPrimitives.ReadSingleLittleEndian(source[12..]));
        return IsError(loss.Keys) && IsError(loss.Values) && IsError(loss.Outputs) ? loss : null;
    }

    private static bool IsError(float error) => float.IsNaN(error) || (error >= 0 && float.IsFinite(error));
}
