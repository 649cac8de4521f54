using System.Text;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Protocol.Tests.Integrity;

public sealed class Crc32CTests
{
    private const int MaxShortBytes = 1100;

    [Theory]
    [InlineData("0000000000000000000000000000000000000000000000000000000000000000", 0x8A9136AAu)]
    [InlineData("FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF", 0x62A8AB43u)]
    [InlineData("000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F", 0x46DD794Eu)]
    [InlineData("1F1E1D1C1B1A191817161514131211100F0E0D0C0B0A09080706050403020100", 0x113FDB5Cu)]
    [InlineData("01C00000000000000000000000000000140000000000040000000014000000182800000000000000020000000000000000", 0xD9963A56u, 48)]
    public void Agrees_with_the_examples_of_RFC_3720(string hex, uint expected, int bytes = 32)
    {
        Assert.Equal(expected, Crc32C.Compute(Convert.FromHexString(hex).AsSpan(0, bytes)));
    }

    [Fact]
    public void Agrees_with_the_check_value_of_the_catalogue()
    {
        Assert.Equal(0xE3069283u, Crc32C.Compute(Encoding.ASCII.GetBytes("123456789")));
        Assert.Equal(0u, Crc32C.Compute([]));
    }

    [Fact]
    public void Agrees_with_the_definition_at_every_length_and_start()
    {
        var data = RandomBytes(MaxShortBytes + 8, seed: 1);
        for (var length = 0; length <= MaxShortBytes; length++)
        {
            var slice = data.AsSpan(length % 8, length);
            Assert.Equal(BitByBit((uint)length, slice), Crc32C.Append((uint)length, slice));
        }
    }

    [Fact]
    public void Every_path_agrees_with_the_definition()
    {
        foreach (var steps in Enumerable.Range(1, 40))
        {
            var data = RandomBytes(steps * Crc32CLanes.StepBytes, seed: steps);
            var expected = ~BitByBit(7, data);
            Assert.Equal(expected, Crc32C.AppendSerially(~7u, data));
            if (Crc32CLanes.IsSupported)
            {
                Assert.Equal(expected, Crc32CLanes.Append(~7u, ref data[0], (nuint)data.Length));
            }

            if (Crc32CFolding.IsSupported)
            {
                Assert.Equal(expected, Crc32CFolding.Append(~7u, ref data[0], (nuint)data.Length));
            }
        }
    }

    [Fact]
    public void Appending_pieces_is_as_computing_the_whole()
    {
        var random = new Random(2);
        var data = RandomBytes(200_000, seed: 3);
        var expected = BitByBit(0, data);
        for (var round = 0; round < 200; round++)
        {
            uint checksum = 0;
            for (var offset = 0; offset < data.Length;)
            {
                var piece = Math.Min(data.Length - offset, random.Next(1, 1 << random.Next(1, 18)));
                checksum = Crc32C.Append(checksum, data.AsSpan(offset, piece));
                offset += piece;
            }

            Assert.Equal(expected, checksum);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Copies_and_sums_at_every_length(bool streams)
    {
        var source = RandomBytes(MaxShortBytes, seed: 4);
        for (var length = 0; length <= MaxShortBytes; length++)
        {
            AssertCopy(source.AsSpan(0, length), destinationStart: length % 64, streams);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Copies_and_sums_long_payloads_to_any_alignment(bool streams)
    {
        var source = RandomBytes(300_000, seed: 5);
        foreach (var start in new[] { 0, 1, 16, 63, 64 })
        {
            AssertCopy(source, start, streams);
            AssertCopy(source.AsSpan(3, 256 * 1024), start, streams);
        }
    }

    [Fact]
    public void Refuses_a_destination_that_is_too_short()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => Crc32C.CopyAndAppend(0, new byte[600], new byte[599]));
    }

    private static void AssertCopy(ReadOnlySpan<byte> source, int destinationStart, bool streams)
    {
        const int Guard = 80;
        var memory = GC.AllocateUninitializedArray<byte>(source.Length + destinationStart + 64 + Guard, pinned: true);
        memory.AsSpan().Fill(0xEE);
        var start = Aligned(memory) + destinationStart;
        var destination = memory.AsSpan(start);
        var checksum = Crc32C.CopyAndAppend(9, source, destination, streams);

        Assert.Equal(Crc32C.Append(9, source), checksum);
        Assert.True(source.SequenceEqual(destination[..source.Length]));
        Assert.Equal(-1, memory.AsSpan(0, start).IndexOfAnyExcept((byte)0xEE));
        Assert.Equal(-1, destination[source.Length..].IndexOfAnyExcept((byte)0xEE));
    }

    private static unsafe int Aligned(byte[] pinned)
    {
        fixed (byte* start = pinned)
        {
            return (int)((64 - ((nuint)start % 64)) % 64);
        }
    }

    private static uint BitByBit(uint checksum, ReadOnlySpan<byte> data)
    {
        var state = ~checksum;
        foreach (var value in data)
        {
            state ^= value;
            for (var bit = 0; bit < 8; bit++)
            {
                state = (state >> 1) ^ ((state & 1) * 0x82F63B78);
            }
        }

        return ~state;
    }

    private static byte[] RandomBytes(int count, int seed)
    {
        var bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }
}
