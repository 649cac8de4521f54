using System.Text;

namespace KvMesh.LoadTest.Clients;

/// <summary>Keys of one length that differ in twelve digits: prefix, digits, suffix.</summary>
internal sealed class BenchKey(string prefix, string suffix)
{
    private const int Digits = 12;

    /// <summary>Keys that mean nothing to any cache.</summary>
    public static BenchKey Opaque { get; } = new("kvmesh-load:", "");

    /// <summary>Keys as LMCache makes them, which KvMesh takes for content: the first writer of a key wins.</summary>
    public static BenchKey Chunk { get; } = new("bench-model@1@0@7", "@bfloat16");

    /// <summary>Offset of the digits within the key.</summary>
    public int DigitsOffset => prefix.Length;

    public byte[] Template { get; } = Encoding.ASCII.GetBytes(prefix + new string('0', Digits) + suffix);

    /// <summary>Writes a number into the place of the digits.</summary>
    public static void WriteDigits(Span<byte> place, long number)
    {
        for (var digit = Digits - 1; digit >= 0; digit--)
        {
            place[digit] = (byte)('0' + (number % 10));
            number /= 10;
        }
    }
}
