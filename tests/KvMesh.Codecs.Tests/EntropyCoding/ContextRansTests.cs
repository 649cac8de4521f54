using KvMesh.Codecs.EntropyCoding;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Tests.EntropyCoding;

public sealed class ContextRansTests
{
    private static readonly ContextTables Tables = new([.. new[] { 0.4f, 1f, 3f }.Select(NormalFrequencies.Make)]);

    [Theory]
    [InlineData(1, 1)]
    [InlineData(100, 7)]
    [InlineData(8191, 64)]
    [InlineData(8192, 128)]
    [InlineData(20_000, 96)]
    [InlineData(20_000, 50)]
    public void What_goes_in_comes_out_however_it_is_asked_for(int count, int atOnce)
    {
        var (symbols, contexts) = Draw(count);
        var stream = Encode(symbols, contexts);
        Span<uint> states = stackalloc uint[Rans.ManyLanes];
        foreach (var level in SimdLevels.OfThisProcessor)
        {
            var reader = new ContextRansReader(stream, Tables.Slots, count, states);
            var decoded = new byte[count];
            for (var at = 0; at < count; at += atOnce)
            {
                var next = Math.Min(atOnce, count - at);
                Assert.True(reader.TryRead(contexts.AsSpan(at, next), decoded.AsSpan(at, next), level));
            }

            Assert.True(reader.IsAtEnd);
            Assert.Equal(stream, Encode(symbols, contexts, level));
            Assert.Equal(symbols, decoded);
        }
    }

    [Fact]
    public void Takes_the_entropy_of_each_context()
    {
        var (symbols, contexts) = Draw(32_768);
        double bits = 0;
        for (var index = 0; index < symbols.Length; index++)
        {
            bits -= Math.Log2(Tables.Frequencies[contexts[index]][symbols[index]] / (double)SymbolFrequencies.Total);
        }

        Assert.InRange(Encode(symbols, contexts).Length * 8.0, bits, (bits * 1.002) + (Rans.ManyLanes * 32));
    }

    [Fact]
    public void A_stream_cut_at_any_byte_or_with_more_behind_is_refused()
    {
        var (symbols, contexts) = Draw(300);
        var stream = Encode(symbols, contexts);
        var decoded = new byte[symbols.Length];
        Span<uint> states = stackalloc uint[Rans.ManyLanes];
        for (var length = 0; length <= stream.Length + 2; length++)
        {
            byte[] cut = length <= stream.Length ? stream[..length] : [.. stream, .. new byte[length - stream.Length]];
            var reader = new ContextRansReader(cut, Tables.Slots, symbols.Length, states);
            Assert.Equal(length == stream.Length, reader.IsValid && reader.TryRead(contexts, decoded, SimdLevels.Best) && reader.IsAtEnd);
        }
    }

    private static (byte[] Symbols, byte[] Contexts) Draw(int count)
    {
        var random = new Random(count);
        byte[] contexts = [.. Enumerable.Range(0, count).Select(_ => (byte)random.Next(3))];
        byte[] symbols = [.. contexts.Select(context => (byte)(NormalFrequencies.Zero + Math.Round(Math.Clamp(StripData.Normal(random), -4, 4) / new[] { 0.4, 1, 3 }[context])))];
        return (symbols, contexts);
    }

    private static byte[] Encode(byte[] symbols, byte[] contexts, SimdLevel? level = null)
    {
        var buffer = new byte[Rans.MaxBytes(symbols.Length)];
        return buffer[^Rans.EncodeBackwards(symbols, contexts, Tables.Divisions, buffer, level ?? SimdLevels.Best)..];
    }
}
