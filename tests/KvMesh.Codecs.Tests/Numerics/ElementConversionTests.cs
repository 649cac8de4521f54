using System.Buffers.Binary;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Tests.Numerics;

public sealed class ElementConversionTests
{
    public static TheoryData<KvElement> Formats => [KvElement.BFloat16, KvElement.Float16, KvElement.Fp8E4M3, KvElement.Fp8E5M2];

    [Theory]
    [MemberData(nameof(Formats))]
    public void Every_code_comes_back_the_same(KvElement element)
    {
        var codes = AllCodes(element);
        var values = new float[codes.Length / element.Bytes()];
        foreach (var level in SimdLevels.OfThisProcessor)
        {
            ElementConversion.ToSingle(element, codes, values, level);
            var again = new byte[codes.Length];
            ElementConversion.FromSingle(element, values, again, level);
            for (var index = 0; index < values.Length; index++)
            {
                // Infinities of E5M2 become its largest number; a NaN stays one, with whatever payload.
                var code = Code(element, codes, index);
                if (float.IsNaN(values[index]))
                {
                    var kept = new float[1];
                    ElementConversion.ToSingle(element, again.AsSpan(index * element.Bytes()), kept, SimdLevel.Scalar);
                    Assert.True(float.IsNaN(kept[0]), $"{code:X} at {level}");
                }
                else if (!float.IsInfinity(values[index]) || element != KvElement.Fp8E5M2)
                {
                    Assert.Equal(code, Code(element, again, index));
                }
            }
        }
    }

    [Fact]
    public void Halves_agree_with_the_runtime()
    {
        var codes = AllCodes(KvElement.Float16);
        var values = new float[65_536];
        foreach (var level in SimdLevels.OfThisProcessor)
        {
            ElementConversion.ToSingle(KvElement.Float16, codes, values, level);
            for (var code = 0; code < values.Length; code++)
            {
                var expected = (float)BitConverter.UInt16BitsToHalf((ushort)code);
                Assert.True(expected.Equals(values[code]) || (float.IsNaN(expected) && float.IsNaN(values[code])), $"{code:X4} at {level}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void Singles_round_alike_at_every_level_and_to_the_nearest(KvElement element)
    {
        var singles = Singles();
        var expected = new byte[singles.Length * element.Bytes()];
        ElementConversion.FromSingle(element, singles, expected, SimdLevel.Scalar);
        Assert.All(SimdLevels.OfThisProcessor, level =>
        {
            var bytes = new byte[expected.Length];
            ElementConversion.FromSingle(element, singles, bytes, level);
            Assert.Equal(expected, bytes);
        });

        if (element == KvElement.Float16)
        {
            for (var index = 0; index < singles.Length; index++)
            {
                var half = (Half)singles[index];
                if (!Half.IsNaN(half))
                {
                    Assert.Equal(BitConverter.HalfToUInt16Bits(half), Code(element, expected, index));
                }
            }
        }
    }

    [Theory]
    [InlineData(KvElement.Fp8E4M3, 1.0f, 0x38)]
    [InlineData(KvElement.Fp8E4M3, -1.5f, 0xBC)]
    [InlineData(KvElement.Fp8E4M3, 0.3f, 0x2A)]
    [InlineData(KvElement.Fp8E4M3, 448f, 0x7E)]
    [InlineData(KvElement.Fp8E4M3, 460f, 0x7E)]
    [InlineData(KvElement.Fp8E4M3, 0.001953125f, 0x01)]
    [InlineData(KvElement.Fp8E4M3, float.PositiveInfinity, 0x7E)]
    [InlineData(KvElement.Fp8E5M2, 1.0f, 0x3C)]
    [InlineData(KvElement.Fp8E5M2, 57_344f, 0x7B)]
    public void Codes_the_published_examples(KvElement element, float value, byte code)
    {
        foreach (var level in SimdLevels.OfThisProcessor)
        {
            var bytes = new byte[64];
            ElementConversion.FromSingle(element, Enumerable.Repeat(value, 64).ToArray(), bytes, level);
            Assert.All(bytes, actual => Assert.Equal(code, actual));
        }
    }

    [Theory]
    [InlineData(KvElement.Fp8E4M3)]
    [InlineData(KvElement.Fp8E5M2)]
    public void Greater_codes_are_greater_numbers(KvElement element)
    {
        var values = new float[256];
        ElementConversion.ToSingle(element, AllCodes(element), values, SimdLevel.Scalar);
        var last = element == KvElement.Fp8E4M3 ? 0x7E : 0x7B;
        Assert.All(Enumerable.Range(1, last), code => Assert.True(values[code] > values[code - 1] && values[128 + code] == -values[code]));
    }

    private static byte[] AllCodes(KvElement element)
    {
        if (element.Bytes() == 1)
        {
            return [.. Enumerable.Range(0, 256).Select(code => (byte)code)];
        }

        var codes = new byte[2 * 65_536];
        for (var code = 0; code < 65_536; code++)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(codes.AsSpan(2 * code), (ushort)code);
        }

        return codes;
    }

    private static int Code(KvElement element, byte[] codes, int index) =>
        element.Bytes() == 1 ? codes[index] : BinaryPrimitives.ReadUInt16LittleEndian(codes.AsSpan(2 * index));

    /// <summary>Singles of all exponents, between and on the borders of rounding, and special ones.</summary>
    private static float[] Singles()
    {
        var random = new Random(9);
        var singles = new List<float> { 0, -0f, float.NaN, float.PositiveInfinity, float.NegativeInfinity, float.MaxValue, float.Epsilon, 65_504, 65_520, 448, 464 };
        for (var round = 0; round < 20_000; round++)
        {
            var bits = (uint)random.NextInt64(1L << 32);
            singles.Add(BitConverter.UInt32BitsToSingle(bits));
            singles.Add(BitConverter.UInt32BitsToSingle((bits & 0x8FFF_8000) | 0x3000_0000));
            singles.Add(BitConverter.UInt32BitsToSingle((bits & 0x87F0_0000) | 0x3808_0000));
        }

        return [.. singles];
    }
}
