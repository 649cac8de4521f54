using System.Numerics;
using KvMesh.Protocol.Native;

namespace KvMesh.Gateway.Native;

/// <summary>One yes or no per key of a request: bit i of byte i / 8, lowest first.</summary>
internal static class BitSet
{
    public static int Bytes(int count) => (count + 7) / 8;

    public static void Set(Span<byte> bits, int index) => bits[index / 8] |= (byte)(1 << (index % 8));

    /// <summary>Answers with the number of bits that are set, and the bits.</summary>
    public static void Answer(NativeExchange exchange, ReadOnlySpan<byte> bits)
    {
        var count = 0;
        foreach (var value in bits)
        {
            count += BitOperations.PopCount(value);
        }

        exchange.Begin();
        exchange.Writer.WriteUInt32((uint)count);
        exchange.Writer.WriteBytes(bits);
        exchange.Writer.End(NativeStatus.Ok);
    }
}
