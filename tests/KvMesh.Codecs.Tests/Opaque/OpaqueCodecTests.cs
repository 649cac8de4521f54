using System.Buffers.Binary;
using System.Text;
using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Numerics;
using KvMesh.Codecs.Opaque;
using KvMesh.TestKit;

namespace KvMesh.Codecs.Tests.Opaque;

public sealed class OpaqueCodecTests
{
    private const int FuzzRounds = 600;

    /// <summary>Payloads of every kind, with lengths around the borders of words, lanes and chunks.</summary>
    public static IEnumerable<(string Name, byte[] Bytes)> Payloads()
    {
        foreach (var length in new[] { 1, 2, 3, 5, 31, 4096, 40_001, OpaqueCodec.ChunkBytes, OpaqueCodec.ChunkBytes + 1, (2 * OpaqueCodec.ChunkBytes) + 70_007 })
        {
            yield return ("zeros", new byte[length]);
            yield return ("noise", Noise(length));
            yield return ("bfloat16", Numbers(length, 2, value => (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16)));
            yield return ("halves", Numbers(length, 2, value => BitConverter.HalfToUInt16Bits((Half)value)));
            yield return ("singles", Numbers(length, 4, BitConverter.SingleToUInt32Bits));
            yield return ("counters", Counters(length));
            yield return ("text", Text(length));
            yield return ("rows", Rows(length));
        }
    }

    [Fact]
    public void Every_byte_comes_back_with_all_instructions()
    {
        foreach (var (name, payload) in Payloads())
        {
            var expected = Encode(payload, SimdLevel.Scalar);
            foreach (var level in SimdLevels.OfThisProcessor)
            {
                Assert.True(expected.AsSpan().SequenceEqual(Encode(payload, level)), $"{name}, {payload.Length} bytes, {level}: other bytes than scalar");
                if (expected.Length > 0)
                {
                    var decoded = new byte[payload.Length];
                    Assert.True(OpaqueCodec.TryDecode(expected, decoded, new CodecScratch(level)), $"{name}, {payload.Length} bytes, {level}");
                    Assert.True(payload.AsSpan().SequenceEqual(decoded), $"{name}, {payload.Length} bytes, {level}: decodes otherwise");
                }
            }
        }
    }

    /// <summary>Normal numbers: 2.55 bits of exponent, as the codec for tensors has it, without being told that they are numbers.</summary>
    [Theory]
    [InlineData("bfloat16", 10.4, 10.75)]
    [InlineData("halves", 13.4, 13.7)]
    [InlineData("singles", 26.2, 26.8)]
    [InlineData("text", 0, 38)]
    [InlineData("counters", 8, 10)]
    [InlineData("rows", 7, 9.6)]
    public void Takes_what_the_statistics_say(string name, double least, double most)
    {
        var payload = Payloads().Last(candidate => candidate.Name == name).Bytes;
        var bytesOfOne = name is "singles" or "text" ? 4 : 2;
        Assert.InRange(Encode(payload).Length * 8.0 * bytesOfOne / payload.Length, least, most);
    }

    [Fact]
    public void Noise_is_left_to_the_caller_to_keep_as_it_is()
    {
        Assert.Empty(Encode(Noise(300_000)));
        Assert.Empty(Encode([1]));
        Assert.Empty(Encode([]));
    }

    [Fact]
    public void A_chunk_of_noise_between_others_costs_a_byte()
    {
        var payload = new byte[3 * OpaqueCodec.ChunkBytes];
        Noise(OpaqueCodec.ChunkBytes).CopyTo(payload, OpaqueCodec.ChunkBytes);
        Assert.InRange(Encode(payload).Length, OpaqueCodec.ChunkBytes, OpaqueCodec.ChunkBytes + 64);
    }

    [Fact]
    public void What_was_written_says_how_long_the_payload_is()
    {
        var encoded = Encode(new byte[70_000]);
        Assert.True(OpaqueCodec.TryReadPayloadBytes(encoded, out var bytes));
        Assert.Equal(70_000, bytes);
        Assert.False(OpaqueCodec.TryReadPayloadBytes(encoded.AsSpan(0, 15), out _));
        Assert.False(OpaqueCodec.TryReadPayloadBytes("KVP1 and something else"u8, out _));
        Assert.False(OpaqueCodec.TryDecode(encoded, new byte[69_999], new CodecScratch()));
        Assert.False(OpaqueCodec.TryDecode(encoded, new byte[70_001], new CodecScratch()));
    }

    [Fact]
    public void What_is_cut_at_any_byte_is_refused()
    {
        foreach (var (name, payload) in Small())
        {
            var encoded = Encode(payload);
            using var guarded = new GuardedBytes(encoded.Length + 1);
            var decoded = new byte[payload.Length];
            var scratch = new CodecScratch();
            for (var length = 0; length < encoded.Length; length += length < 600 ? 1 : 61)
            {
                Assert.False(OpaqueCodec.TryDecode(guarded.Holding(encoded.AsSpan(0, length)), decoded, scratch), $"{name}: {length} of {encoded.Length} bytes");
            }

            Assert.False(OpaqueCodec.TryDecode(guarded.Holding([.. encoded, 0]), decoded, scratch), $"{name}: one byte more");
        }
    }

    [Fact]
    public void Whatever_stands_there_nothing_beyond_it_is_touched()
    {
        var small = Small().Select(item => (item.Bytes, Encoded: Encode(item.Bytes))).ToArray();
        var scratch = new CodecScratch();
        var most = small.Max(item => item.Encoded.Length) * 2;
        using var guarded = new GuardedBytes(most);
        using var target = new GuardedBytes(small.Max(item => item.Bytes.Length));
        Fuzz.Run(FuzzRounds, random =>
        {
            var (payload, encoded) = small[random.Next(small.Length)];
            var spoilt = Fuzz.Damage(random, encoded);
            OpaqueChunkForms(random, spoilt);
            OpaqueCodec.TryDecode(guarded.Holding(spoilt.AsSpan(0, Math.Min(spoilt.Length, most))), target.Last(payload.Length), scratch);

            // Behind the checksum of the head as well, which stops most of what is spoilt.
            var head = 16 + sizeof(int);
            if (spoilt.Length > head)
            {
                OpaqueChunk.TryDecode(guarded.Holding(spoilt.AsSpan(head, Math.Min(spoilt.Length - head, most))), target.Last(payload.Length), scratch);
            }
        });
    }

    [Fact]
    public void Classes_that_do_not_rise_are_refused()
    {
        ReadOnlySpan<byte> falling = [1, 0, 3, 9, 9, 12, 0, 0];
        Assert.False(EarlierByte.TryRead(ref falling, 65_536, out _));
        ReadOnlySpan<byte> far = [2, 0, 0, 0, 0];
        Assert.False(EarlierByte.TryRead(ref far, 65_536, out _), "no such distance");
        ReadOnlySpan<byte> many = [1, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
        Assert.False(EarlierByte.TryRead(ref many, 65_536, out _), "nine classes");
        ReadOnlySpan<byte> good = [1, 0, 2, 9, 12, 77];
        Assert.True(EarlierByte.TryRead(ref good, 65_536, out var earlier));
        Assert.Equal(3, earlier.Classes);
        Assert.Equal([77], good.ToArray());
    }

    [Fact]
    public void A_warm_scratch_allocates_nothing()
    {
        var payload = Rows(300_000);
        var scratch = new CodecScratch();
        var encoded = new byte[OpaqueCodec.MaxBytes(payload.Length)];
        var decoded = new byte[payload.Length];
        var written = OpaqueCodec.Encode(payload, encoded, scratch);
        Assert.True(OpaqueCodec.TryDecode(encoded.AsSpan(0, written), decoded, scratch));
        Assert.Equal(0, Allocations.Of(() =>
        {
            OpaqueCodec.Encode(payload, encoded, scratch);
            OpaqueCodec.TryDecode(encoded.AsSpan(0, written), decoded, scratch);
        }));
    }

    /// <summary>One of each way in which a plane is written, in one chunk each.</summary>
    private static IEnumerable<(string Name, byte[] Bytes)> Small() =>
    [
        ("constant", new byte[777]), ("one law", Numbers(6000, 2, value => (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16))),
        ("singles", Numbers(9001, 4, BitConverter.SingleToUInt32Bits)), ("neighbour", Counters(40_000)), ("rows", Rows(80_000)),
    ];

    /// <summary>Bytes that decide how the rest is read are spoilt more often than chance would have it.</summary>
    private static void OpaqueChunkForms(Random random, byte[] bytes)
    {
        foreach (var place in new[] { 20, 25, 26, 27, 28, 29, 30, 31, 32 })
        {
            if (place < bytes.Length && random.Next(8) == 0)
            {
                bytes[place] = (byte)random.Next(random.Next(2) == 0 ? 8 : 256);
            }
        }
    }

    private static byte[] Encode(byte[] payload, SimdLevel? level = null)
    {
        var destination = new byte[OpaqueCodec.MaxBytes(payload.Length)];
        destination.AsSpan().Fill(0xA5);
        return destination[..OpaqueCodec.Encode(payload, destination, new CodecScratch(level ?? SimdLevels.Best))];
    }

    private static byte[] Noise(int length)
    {
        var bytes = new byte[length];
        new Random(17).NextBytes(bytes);
        return bytes;
    }

    private static byte[] Numbers(int length, int bytesOfOne, Func<float, uint> bits)
    {
        var random = new Random(18);
        var bytes = new byte[length + sizeof(uint)];
        for (var at = 0; at < length; at += bytesOfOne)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(at), bits((float)StripData.Normal(random)));
        }

        return bytes[..length];
    }

    private static byte[] Counters(int length) => [.. Enumerable.Range(0, length).Select(index => (byte)(index / 3))];

    private static byte[] Text(int length)
    {
        var random = new Random(19);
        string[] words = ["the ", "cache ", "of ", "keys ", "and ", "values ", "moves ", "blocks ", "between ", "nodes, "];
        var text = new StringBuilder();
        while (text.Length < length)
        {
            text.Append(words[random.Next(words.Length)]);
        }

        return Encoding.ASCII.GetBytes(text.ToString(0, length));
    }

    /// <summary>Bfloat16 rows of 128 channels whose magnitudes differ by far.</summary>
    private static byte[] Rows(int length)
    {
        var random = new Random(20);
        double[] spreads = [.. Enumerable.Range(0, 128).Select(_ => Math.Exp(3 * StripData.Normal(random)))];
        var bytes = new byte[length + 1];
        for (var at = 0; at < length; at += 2)
        {
            var value = (float)(spreads[at / 2 % 128] * (1 + (0.1 * StripData.Normal(random))));
            BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(at), (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16));
        }

        return bytes[..length];
    }
}
