using System.Buffers.Binary;

namespace KvMesh.LoadTest.Verbs;

/// <summary>Bfloat16 numbers as blocks hold them: normally distributed, with channels of their own offset.</summary>
internal static class CodecBlockContent
{
    private const int PatternElements = 1 << 19;
    private const int Channels = 128;

    public static void Fill(Span<byte> block)
    {
        var random = new Random(4);
        var pattern = new byte[PatternElements * sizeof(ushort)];
        for (var index = 0; index < PatternElements; index++)
        {
            var normal = Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
            var value = (float)(normal + (index % Channels % 37 == 5 ? 5 : 0));
            BinaryPrimitives.WriteUInt16LittleEndian(pattern.AsSpan(index * sizeof(ushort)), (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16));
        }

        for (var at = 0; at < block.Length; at += pattern.Length)
        {
            pattern.AsSpan(0, Math.Min(pattern.Length, block.Length - at)).CopyTo(block[at..]);
        }
    }
}
