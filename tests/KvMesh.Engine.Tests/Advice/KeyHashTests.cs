using System.Buffers.Binary;
using KvMesh.Engine.Advice;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Advice;

public sealed class KeyHashTests
{
    private const int Keys = 16_000;

    [Fact]
    public void Chain_hashes_are_sampled_evenly() => AssertEven(index => TestBytes.Hash(3, index));

    /// <summary>As of engines whose hash is a number of 64 bits or less, at either end.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(24)]
    public void Numbers_in_place_of_hashes_are_sampled_evenly(int at)
    {
        AssertEven(index => Number(at, index, BinaryPrimitives.WriteInt64LittleEndian));
        AssertEven(index => Number(at, index, BinaryPrimitives.WriteInt64BigEndian));
    }

    private delegate void Write(Span<byte> destination, long value);

    private static byte[] Number(int at, int index, Write write)
    {
        var hash = new byte[32];
        write(hash.AsSpan(at, sizeof(long)), index);
        return hash;
    }

    /// <summary>One in sixteen, within six standard deviations of a random choice.</summary>
    private static void AssertEven(Func<int, byte[]> keyOf)
    {
        var hashes = Enumerable.Range(0, Keys).Select(index => KeyHash.Of(0x1234_5678_9ABC_DEF0, keyOf(index))).ToArray();
        Assert.Equal(Keys, hashes.Distinct().Count());
        Assert.InRange(hashes.Count(hash => hash <= ulong.MaxValue / 16), (Keys / 16) - 184, (Keys / 16) + 184);
    }
}
