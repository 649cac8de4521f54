using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Tests.Numerics;

public sealed class CodePlanesTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Codes_come_back_from_as_many_bits(int bits)
    {
        foreach (var count in new[] { 8, 40, 64, 128, 200 })
        {
            var random = new Random(count);
            byte[] codes = [.. Enumerable.Range(0, count).Select(_ => (byte)random.Next(1 << bits))];
            var expected = new byte[CodePlanes.Bytes(count, bits)];
            Assert.Equal(count * bits / 8, expected.Length);
            CodePlanes.Pack(codes, bits, expected, SimdLevel.Scalar);
            foreach (var level in SimdLevels.OfThisProcessor)
            {
                var packed = new byte[expected.Length];
                CodePlanes.Pack(codes, bits, packed, level);
                Assert.Equal(expected, packed);
                var unpacked = new byte[count];
                unpacked.AsSpan().Fill(0xFF);
                CodePlanes.Unpack(packed, bits, unpacked, level);
                Assert.Equal(codes, unpacked);
            }
        }
    }

    [Fact]
    public void A_number_takes_the_nearest_level_with_all_instructions()
    {
        float[] levels = [-2, -0.5f, 0.25f, 3];
        var table = new LevelTable(levels);
        var random = new Random(8);
        float[] values = [.. Enumerable.Range(0, 100).Select(_ => (float)(4 * StripData.Normal(random))), -1.25f, 1e6f, -1e6f];
        foreach (var level in SimdLevels.OfThisProcessor)
        {
            var codes = new byte[values.Length];
            var decoded = new float[values.Length];
            table.Encode(values, codes, level);
            table.Decode(codes, decoded, level);
            Assert.All(Enumerable.Range(0, values.Length), index => Assert.Equal(levels.MinBy(candidate => Math.Abs((double)candidate - values[index])), decoded[index]));
        }
    }

    [Fact]
    public void Refuses_levels_that_do_not_ascend()
    {
        Assert.Throws<ArgumentException>(() => new LevelTable([1, 1]));
        Assert.Throws<ArgumentException>(() => new LevelTable([1, 2, 3]));
        Assert.Throws<ArgumentException>(() => new LevelTable([1, float.NaN]));
    }
}
