using KvMesh.Codecs.EntropyCoding;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Tests.EntropyCoding;

public sealed class RansTests
{
    /// <summary>Symbols of many kinds and lengths around the borders of lanes and rounds.</summary>
    public static IEnumerable<byte[]> Streams()
    {
        var random = new Random(7);
        foreach (var length in new[] { 1, 2, 7, 8, 9, 100, 4097, 8191, 8192, 8193, 8223, 20_000, 32_768 })
        {
            yield return [.. Enumerable.Range(0, length).Select(_ => (byte)Math.Clamp(128 + (4 * StripData.Normal(random)), 0, 255))];
            yield return [.. Enumerable.Range(0, length).Select(_ => (byte)random.Next(256))];
            yield return [.. Enumerable.Repeat((byte)0, length)];
            yield return [.. Enumerable.Repeat((byte)255, length)];
            yield return [.. Enumerable.Range(0, length).Select(index => (byte)(index % 4096 == 17 ? 3 : 200))];
        }
    }

    [Fact]
    public void What_goes_in_comes_out_with_all_instructions()
    {
        foreach (var symbols in Streams())
        {
            var (stream, table) = Encode(symbols);
            foreach (var level in SimdLevels.OfThisProcessor)
            {
                var decoded = new byte[symbols.Length];
                Assert.True(RansDecoder.TryDecode(stream, table, decoded, level), $"{symbols.Length} symbols at {level}");
                Assert.True(symbols.AsSpan().SequenceEqual(decoded), $"{symbols.Length} symbols at {level}");
            }
        }
    }

    [Fact]
    public void A_stream_takes_its_entropy_and_one_per_cent()
    {
        foreach (var symbols in Streams().Where(symbols => symbols.Length == 32_768))
        {
            var counts = new int[256];
            SymbolFrequencies.Count(symbols, counts);
            var entropy = counts.Where(count => count > 0).Sum(count => -count * Math.Log2((double)count / symbols.Length)) / 8;
            Assert.InRange(Encode(symbols).Stream.Length, entropy, (entropy * 1.01) + 160);
        }
    }

    [Fact]
    public void Frequencies_sum_to_the_total_and_leave_none_out()
    {
        var random = new Random(8);
        var frequencies = new ushort[256];
        for (var round = 0; round < 500; round++)
        {
            var counts = Enumerable.Range(0, 256).Select(_ => random.Next(3) == 0 ? 0 : (int)Math.Pow(10, random.NextDouble() * (round % 9))).ToArray();
            counts[random.Next(256)] = 1;
            SymbolFrequencies.Normalise(counts, frequencies);
            Assert.Equal(SymbolFrequencies.Total, frequencies.Sum(frequency => frequency));
            Assert.All(Enumerable.Range(0, 256).Where(symbol => counts[symbol] > 0), symbol => Assert.InRange(frequencies[symbol], 1, 4095));

            var stored = new byte[SymbolFrequencies.MaxStoredBytes];
            var length = SymbolFrequencies.Write(frequencies, stored);
            var read = new ushort[256];
            Assert.Equal(length, SymbolFrequencies.TryRead(stored.AsSpan(0, length), read));
            Assert.Equal(frequencies, read);
            Assert.Equal(0, SymbolFrequencies.TryRead(stored.AsSpan(0, length - 1), read));
        }
    }

    [Fact]
    public void A_table_of_another_sum_is_refused()
    {
        var stored = new byte[SymbolFrequencies.MaxStoredBytes];
        var frequencies = new ushort[256];
        frequencies[9] = 4000;
        frequencies[10] = 95;
        var length = SymbolFrequencies.Write(frequencies, stored);
        Assert.Equal(0, SymbolFrequencies.TryRead(stored.AsSpan(0, length), new ushort[256]));
        Assert.Equal(0, SymbolFrequencies.TryRead([250, 10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17], new ushort[256]));
    }

    [Fact]
    public void Streams_that_are_cut_spoilt_or_too_long_are_refused()
    {
        var symbols = Streams().First(candidate => candidate.Length == 8192);
        var (stream, table) = Encode(symbols);
        var decoded = new byte[symbols.Length];
        foreach (var level in SimdLevels.OfThisProcessor)
        {
            for (var length = 0; length < stream.Length; length += length < 200 ? 1 : 97)
            {
                Assert.False(RansDecoder.TryDecode(stream.AsSpan(0, length), table, decoded, level));
            }

            Assert.False(RansDecoder.TryDecode([.. stream, 0, 0], table, decoded, level));
            for (var place = 0; place < stream.Length; place += 131)
            {
                var spoilt = stream.ToArray();
                spoilt[place] ^= 4;
                Assert.False(RansDecoder.TryDecode(spoilt, table, decoded, level) && decoded.AsSpan().SequenceEqual(symbols));
            }
        }
    }

    [Fact]
    public void All_instructions_write_the_same_bytes()
    {
        foreach (var symbols in Streams())
        {
            var (stream, _) = Encode(symbols, SimdLevel.Scalar);
            foreach (var level in SimdLevels.OfThisProcessor)
            {
                Assert.True(stream.AsSpan().SequenceEqual(Encode(symbols, level).Stream), $"{symbols.Length} symbols at {level}");
            }
        }
    }

    /// <summary>Quotients at their borders: frequencies of all sizes, and so states of all remainders.</summary>
    [Fact]
    public void Frequencies_of_all_sizes_write_the_same_bytes()
    {
        var random = new Random(9);
        for (var round = 0; round < 300; round++)
        {
            // Few to all symbols, evenly or mostly one, beginning anywhere.
            int count = 1 + random.Next(round % 3 == 0 ? 250 : round % 3 == 1 ? 64 : 128), first = random.Next(257 - count);
            var power = 1 + random.Next(12);
            var symbols = Enumerable.Range(0, 8192 + random.Next(200)).Select(_ => (byte)(first + (int)(count * Math.Pow(random.NextDouble(), power)))).ToArray();
            var (stream, table) = Encode(symbols, SimdLevel.Scalar);
            foreach (var level in SimdLevels.OfThisProcessor)
            {
                Assert.True(stream.AsSpan().SequenceEqual(Encode(symbols, level).Stream), $"round {round} at {level}");
                var decoded = new byte[symbols.Length];
                Assert.True(RansDecoder.TryDecode(stream, table, decoded, level));
                Assert.True(symbols.AsSpan().SequenceEqual(decoded));
            }
        }
    }

    private static (byte[] Stream, uint[] Table) Encode(byte[] symbols, SimdLevel? level = null)
    {
        var counts = new int[256];
        var frequencies = new ushort[256];
        SymbolFrequencies.Count(symbols, counts);
        SymbolFrequencies.Normalise(counts, frequencies);
        var buffer = new byte[Rans.MaxBytes(symbols.Length)];
        var length = Rans.EncodeBackwards(symbols, frequencies, buffer, level ?? SimdLevels.Best);
        var table = new uint[RansDecoder.TableLength];
        RansDecoder.FillTable(frequencies, table);
        return (buffer[^length..], table);
    }
}
