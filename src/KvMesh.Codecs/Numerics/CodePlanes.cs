using System.Runtime.Intrinsics;

namespace KvMesh.Codecs.Numerics;

/// <summary>
/// Codes of one to four bits of one row in as many bits. Bits that a byte divides into are one plane; three bits are a plane of the lower two
/// and a plane of the upper one. Byte i of a plane of n codes in a byte holds those of channels i, i + d / n and so on, lowest first.
/// </summary>
internal static class CodePlanes
{
    /// <summary>Whether rows of so many codes divide into bytes.</summary>
    public static bool Fits(int codes) => codes % 8 == 0;

    public static int Bytes(int codes, int bits) => codes * bits / 8;

    public static void Pack(ReadOnlySpan<byte> codes, int bits, Span<byte> destination, SimdLevel level)
    {
        if (bits == 3)
        {
            var lower = Bytes(codes.Length, 2);
            PackPlane(codes, 2, 0, destination[..lower], level);
            PackPlane(codes, 1, 2, destination.Slice(lower, Bytes(codes.Length, 1)), level);
            return;
        }

        PackPlane(codes, bits, 0, destination[..Bytes(codes.Length, bits)], level);
    }

    public static void Unpack(ReadOnlySpan<byte> source, int bits, Span<byte> codes, SimdLevel level)
    {
        if (bits == 3)
        {
            var lower = Bytes(codes.Length, 2);
            UnpackPlane(source[..lower], 2, 0, codes, level);
            UnpackPlane(source.Slice(lower, Bytes(codes.Length, 1)), 1, 2, codes, level);
            return;
        }

        UnpackPlane(source[..Bytes(codes.Length, bits)], bits, 0, codes, level);
    }

    /// <summary>Bits from <paramref name="shift"/> on of each code.</summary>
    private static void PackPlane(ReadOnlySpan<byte> codes, int bits, int shift, Span<byte> plane, SimdLevel level)
    {
        var mask = (byte)((1 << bits) - 1);
        var at = 0;
        if (level >= SimdLevel.Vector256)
        {
            for (; at + Vector128<byte>.Count <= plane.Length; at += Vector128<byte>.Count)
            {
                var packed = Vector128<byte>.Zero;
                for (var part = 0; part < 8 / bits; part++)
                {
                    var code = (Vector128.Create(codes[(at + (part * plane.Length))..]) >>> shift) & Vector128.Create(mask);
                    packed |= code << (part * bits);
                }

                packed.CopyTo(plane[at..]);
            }
        }

        for (; at < plane.Length; at++)
        {
            var packed = 0;
            for (var part = 0; part < 8 / bits; part++)
            {
                packed |= ((codes[at + (part * plane.Length)] >> shift) & mask) << (part * bits);
            }

            plane[at] = (byte)packed;
        }
    }

    /// <summary>Sets codes when <paramref name="shift"/> is 0, adds upper bits to them otherwise.</summary>
    private static void UnpackPlane(ReadOnlySpan<byte> plane, int bits, int shift, Span<byte> codes, SimdLevel level)
    {
        var mask = (byte)((1 << bits) - 1);
        for (var part = 0; part < 8 / bits; part++)
        {
            var target = codes.Slice(part * plane.Length, plane.Length);
            var at = 0;
            if (level >= SimdLevel.Vector256)
            {
                for (; at + Vector128<byte>.Count <= plane.Length; at += Vector128<byte>.Count)
                {
                    var code = ((Vector128.Create(plane[at..]) >>> (part * bits)) & Vector128.Create(mask)) << shift;
                    (shift == 0 ? code : code | Vector128.Create<byte>(target[at..])).CopyTo(target[at..]);
                }
            }

            for (; at < plane.Length; at++)
            {
                var code = ((plane[at] >> (part * bits)) & mask) << shift;
                target[at] = (byte)(shift == 0 ? code : code | target[at]);
            }
        }
    }
}
