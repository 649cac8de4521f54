using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;
using KvMesh.Codecs.Tests.Skv1;
using KvMesh.TestKit;

namespace KvMesh.Codecs.Tests;

/// <summary>What every codec must hold. A codec's test class inherits it, names its variants, and adds what is its own.</summary>
public abstract class KvCodecContract
{
    private const int FuzzRounds = 400;
    private const double Tolerance = 0.05;

    /// <summary>The variants under test: at least every preset.</summary>
    protected abstract IEnumerable<KvCodec> Codecs { get; }

    /// <summary>Where they are found again.</summary>
    protected virtual CodecRegistry Registry => CodecRegistry.Standard;

    /// <summary>Bytes of a strip by the formula of the codec; null when they depend on its content.</summary>
    protected abstract int? StripBytes(KvCodec codec, StripShape shape);

    /// <summary>Asserts the codec's own bound for every element. Lossless codecs are compared bit by bit before.</summary>
    protected abstract void AssertWithinBound(KvCodec codec, StripData strip, float[] decoded);

    /// <summary>Whether coding what was decoded gives the same bytes again.</summary>
    protected virtual bool IsIdempotent(KvCodec codec) => codec.IsLossless;

    /// <summary>Variants with more and more bits, whose error must fall.</summary>
    protected virtual IEnumerable<KvCodec[]> ByRisingBits => [];

    /// <summary>What their errors are compared on.</summary>
    protected virtual StripData ForRisingBits(StripShape shape) => StripData.Keys(shape, 11);

    /// <summary>Formats that the codec is tried on.</summary>
    protected virtual IEnumerable<KvElement> Elements => [KvElement.BFloat16, KvElement.Float16, KvElement.Fp8E4M3, KvElement.Fp8E5M2];

    /// <summary>Shapes that the codec is tried on: a full block, and a small strip of every format.</summary>
    protected virtual IEnumerable<StripShape> Shapes(KvCodec codec) =>
    [
        StripData.ShapeOf(Tokens(codec, 256), 128, KvElement.BFloat16, PlaneKind.Key),
        .. from element in Elements
           from kind in new[] { PlaneKind.Key, PlaneKind.Value }
           select StripData.ShapeOf(Tokens(codec, 32), 64, element, kind),
    ];

    [Fact]
    public void Every_preset_is_under_test() =>
        Assert.Empty(Registry.Presets.Where(preset => preset.Id == Codecs.First().Id).Select(preset => preset.Name).Except(Codecs.Select(codec => codec.Name)));

    [Fact]
    public void Is_made_again_from_its_id_version_and_parameters()
    {
        foreach (var codec in Codecs)
        {
            var header = new EncodedHeader
            {
                Codec = codec.Id,
                CodecVersion = codec.Version,
                ParametersHash = EncodedHeader.HashOf(codec.Parameters.Span),
            };
            Assert.True(Registry.TryFind(header, codec.Parameters.Span, out var found), codec.Name);
            Assert.Equal(codec.Name, found.Name);
            Assert.Equal(codec.Parameters.ToArray(), found.Parameters.ToArray());
            Assert.False(Registry.TryFind(header with { CodecVersion = 250 }, codec.Parameters.Span, out _), "a version of the future");
        }
    }

    [Fact]
    public void Bytes_and_numbers_are_the_same_with_all_instructions()
    {
        foreach (var (codec, strip) in Cases())
        {
            var scalar = new CodecScratch(SimdLevel.Scalar);
            var expected = Encode(codec, strip, scalar);
            Assert.Equal(expected, Encode(codec, strip, new CodecScratch(SimdLevel.Scalar)));
            foreach (var level in SimdLevels.OfThisProcessor)
            {
                var scratch = new CodecScratch(level);
                var bytes = Encode(codec, strip, scratch);
                Assert.True(expected.AsSpan().SequenceEqual(bytes), $"{codec}, {strip}, {level}: byte {expected.AsSpan().CommonPrefixLength(bytes)} differs from scalar");
                Assert.True(Decode(codec, strip.Shape, expected, scalar).AsSpan().SequenceEqual(Decode(codec, strip.Shape, bytes, scratch)), $"{codec}, {strip}, {level}: decodes otherwise");
            }
        }
    }

    [Fact]
    public void Every_element_stays_within_its_bound()
    {
        var scratch = new CodecScratch();
        foreach (var (codec, strip) in Cases())
        {
            var encoded = Encode(codec, strip, scratch);
            var decoded = Decode(codec, strip.Shape, encoded, scratch);
            if (codec.IsLossless)
            {
                Assert.True(strip.Bytes.AsSpan().SequenceEqual(decoded), $"{codec}, {strip}");
                continue;
            }

            var values = Singles(strip.Shape, decoded);
            Assert.True(Array.TrueForAll(values, float.IsFinite), $"{codec}, {strip}: something became infinite");
            AssertWithinBound(codec, strip, values);
        }
    }

    [Fact]
    public void What_was_decoded_comes_back_the_same()
    {
        var scratch = new CodecScratch();
        foreach (var (codec, strip) in Cases().Where(item => IsIdempotent(item.Codec)))
        {
            var once = Encode(codec, strip, scratch);
            var decoded = Decode(codec, strip.Shape, once, scratch);
            var again = StripData.OfBytes(strip.Name, strip.Shape, decoded);
            Assert.True(decoded.AsSpan().SequenceEqual(Decode(codec, strip.Shape, Encode(codec, again, scratch), scratch)), $"{codec}, {strip}");
        }
    }

    [Fact]
    public void A_strip_takes_what_the_formula_says()
    {
        var scratch = new CodecScratch();
        foreach (var (codec, strip) in Cases())
        {
            var encoded = Encode(codec, strip, scratch);
            Assert.InRange(encoded.Length, 0, codec.MaxStripBytes(strip.Shape));
            if (StripBytes(codec, strip.Shape) is { } bytes)
            {
                Assert.True(bytes == encoded.Length, $"{codec}, {strip}: {encoded.Length} bytes instead of {bytes}");
            }

            Assert.Equal(codec.IsFixedSize, StripBytes(codec, strip.Shape) is not null);
        }
    }

    [Fact]
    public void Strips_with_nan_or_infinity_come_back_bit_by_bit()
    {
        var scratch = new CodecScratch();
        foreach (var codec in Codecs)
        {
            foreach (var strip in Shapes(codec).SelectMany(StripData.Unusable))
            {
                var destination = new byte[strip.Shape.Bytes + codec.MaxStripBytes(strip.Shape)];
                var entry = StripFrame.Encode(codec, strip.Shape, default, strip.Bytes, strip.Shape.RowBytes, destination, scratch);
                var rows = new byte[strip.Shape.Bytes];
                Assert.True(StripFrame.TryDecode(codec, strip.Shape, default, entry, destination.AsSpan(0, entry.Length), rows, strip.Shape.RowBytes, scratch));
                Assert.True(strip.Bytes.AsSpan().SequenceEqual(rows), $"{codec}, {strip}");
            }
        }
    }

    [Fact]
    public void Numbers_near_the_largest_of_a_format_stay_finite()
    {
        var scratch = new CodecScratch();
        foreach (var codec in Codecs)
        {
            foreach (var strip in Shapes(codec).SelectMany(StripData.NearTheLargest))
            {
                var destination = new byte[strip.Shape.Bytes + codec.MaxStripBytes(strip.Shape)];
                var entry = StripFrame.Encode(codec, strip.Shape, default, strip.Bytes, strip.Shape.RowBytes, destination, scratch);
                var expected = default(byte[]);
                foreach (var level in SimdLevels.OfThisProcessor)
                {
                    var rows = new byte[strip.Shape.Bytes];
                    Assert.True(StripFrame.TryDecode(codec, strip.Shape, default, entry, destination.AsSpan(0, entry.Length), rows, strip.Shape.RowBytes, new CodecScratch(level)), $"{codec}, {strip}");
                    Assert.True(FiniteScan.AllFinite(strip.Shape.Element, rows, level), $"{codec}, {strip}: something became infinite");
                    expected ??= rows;
                    Assert.True(expected.AsSpan().SequenceEqual(rows), $"{codec}, {strip}, {level}: decodes otherwise");
                }
            }
        }
    }

    [Fact]
    public void More_bits_make_less_error()
    {
        var scratch = new CodecScratch();
        foreach (var row in ByRisingBits)
        {
            foreach (var kind in new[] { PlaneKind.Key, PlaneKind.Value })
            {
                var strip = ForRisingBits(StripData.ShapeOf(256, 128, KvElement.BFloat16, kind));
                var last = double.PositiveInfinity;
                foreach (var codec in row)
                {
                    var error = RelativeError(strip.Values, Singles(strip.Shape, Decode(codec, strip.Shape, Encode(codec, strip, scratch), scratch)));
                    Assert.True(error < last, $"{codec} on {strip}: {error} after {last}");
                    last = error;
                }
            }
        }
    }

    [Fact]
    public void Takes_and_loses_on_SKV_1_what_the_reference_does()
    {
        foreach (var codec in Codecs)
        {
            if (Skv1Reference.Find(codec.Name) is { } reference)
            {
                var figures = Skv1Measurement.Measure(codec);
                Assert.All(
                    new (string Name, double Expected, double Actual)[]
                    {
                        ("bits", reference.Bits, figures.Bits), ("keys", reference.Keys, figures.Keys), ("values", reference.Values, figures.Values),
                        ("outputs A", reference.Diffuse, figures.Diffuse), ("outputs B", reference.Sharp, figures.Sharp),
                        ("outputs B-", reference.SharpCodedSinks, figures.SharpCodedSinks),
                    },
                    figure => Assert.True(
                        Math.Abs(figure.Actual - figure.Expected) <= Tolerance * figure.Expected, $"{codec}, {figure.Name}: {figure.Actual:0.0000} instead of {figure.Expected}"));
            }
        }
    }

    [Fact]
    public void A_strip_cut_at_any_byte_is_refused()
    {
        var scratch = new CodecScratch();
        foreach (var codec in Codecs)
        {
            var strip = StripData.Keys(StripData.ShapeOf(Tokens(codec, 32), 64), 3);
            var encoded = Encode(codec, strip, scratch);
            using var guarded = new GuardedBytes(encoded.Length + 1);
            var rows = new byte[strip.Shape.Bytes];
            for (var length = 0; length < encoded.Length; length++)
            {
                var target = new StripTarget(rows, strip.Shape, strip.Shape.RowBytes);
                Assert.False(codec.TryDecode(strip.Shape, guarded.Holding(encoded.AsSpan(0, length)), target, scratch), $"{codec}: {length} of {encoded.Length} bytes");
            }

            byte[] longer = [.. encoded, 0];
            Assert.False(codec.TryDecode(strip.Shape, guarded.Holding(longer), new StripTarget(rows, strip.Shape, strip.Shape.RowBytes), scratch), $"{codec}: one byte more");
        }
    }

    [Fact]
    public void Whatever_stands_in_a_strip_nothing_beyond_it_is_touched()
    {
        var scratch = new CodecScratch();
        foreach (var codec in Codecs)
        {
            var strip = StripData.Keys(StripData.ShapeOf(Tokens(codec, 32), 64), 4);
            var encoded = Encode(codec, strip, scratch);
            using var guarded = new GuardedBytes(encoded.Length);
            using var rows = new GuardedBytes(strip.Shape.Bytes);
            Fuzz.Run(FuzzRounds, random =>
            {
                var round = random.Next(35);
                var bytes = guarded.Last(round % 5 == 0 ? random.Next(encoded.Length + 1) : encoded.Length);
                encoded.AsSpan(0, bytes.Length).CopyTo(bytes);
                Spoil(bytes, random, round);
                codec.TryDecode(strip.Shape, bytes, new StripTarget(rows.Last(strip.Shape.Bytes), strip.Shape, strip.Shape.RowBytes), scratch);
            });
        }
    }

    [Fact]
    public void Rows_may_lie_apart()
    {
        var scratch = new CodecScratch();
        foreach (var codec in Codecs)
        {
            var strip = StripData.Keys(StripData.ShapeOf(Tokens(codec, 64), 128), 8);
            var row = strip.Shape.RowBytes;
            var stride = (3 * row) + 2;
            var apart = new byte[stride * strip.Shape.Tokens];
            for (var token = 0; token < strip.Shape.Tokens; token++)
            {
                strip.Bytes.AsSpan(token * row, row).CopyTo(apart.AsSpan(token * stride));
            }

            var expected = Encode(codec, strip, scratch);
            var buffer = new byte[codec.MaxStripBytes(strip.Shape)];
            var length = codec.Encode(strip.Shape, new StripSource(apart, strip.Shape, stride), buffer, scratch);
            Assert.True(expected.AsSpan().SequenceEqual(buffer.AsSpan(0, length)), codec.Name);

            var target = new byte[apart.Length];
            Assert.True(codec.TryDecode(strip.Shape, expected, new StripTarget(target, strip.Shape, stride), scratch));
            var together = Decode(codec, strip.Shape, expected, scratch);
            for (var token = 0; token < strip.Shape.Tokens; token++)
            {
                Assert.True(together.AsSpan(token * row, row).SequenceEqual(target.AsSpan(token * stride, row)), $"{codec}: row {token}");
            }

            Assert.Equal(-1, target.AsSpan(row, stride - row).IndexOfAnyExcept((byte)0));
        }
    }

    [Fact]
    public void A_warm_codec_allocates_nothing()
    {
        foreach (var codec in Codecs)
        {
            var strip = StripData.Keys(StripData.ShapeOf(256, 128), 9);
            var scratch = new CodecScratch();
            var buffer = new byte[codec.MaxStripBytes(strip.Shape)];
            var rows = new byte[strip.Shape.Bytes];
            var encoded = Encode(codec, strip, scratch);
            Decode(codec, strip.Shape, encoded, scratch);
            Assert.Equal(0, Allocations.Of(() =>
            {
                codec.Encode(strip.Shape, strip.Source, buffer, scratch);
                codec.TryDecode(strip.Shape, encoded, new StripTarget(rows, strip.Shape, strip.Shape.RowBytes), scratch);
            }));
        }
    }

    /// <summary>Encodes a strip that the codec can code.</summary>
    protected static byte[] Encode(KvCodec codec, StripData strip, CodecScratch scratch)
    {
        var buffer = new byte[codec.MaxStripBytes(strip.Shape)];
        buffer.AsSpan().Fill(0xA5);
        var length = codec.Encode(strip.Shape, strip.Source, buffer, scratch);
        Assert.True(length >= 0, $"{codec} does not code {strip}");
        return buffer[..length];
    }

    protected static byte[] Decode(KvCodec codec, StripShape shape, byte[] encoded, CodecScratch scratch)
    {
        var rows = new byte[shape.Bytes];
        rows.AsSpan().Fill(0x5A);
        Assert.True(codec.TryDecode(shape, encoded, new StripTarget(rows, shape, shape.RowBytes), scratch), $"{codec} does not read what it wrote");
        return rows;
    }

    protected static float[] Singles(StripShape shape, byte[] rows)
    {
        var values = new float[shape.Elements];
        ElementConversion.ToSingle(shape.Element, rows, values, SimdLevel.Scalar);
        return values;
    }

    protected static double RelativeError(float[] original, float[] decoded)
    {
        double errors = 0, squares = 0;
        for (var index = 0; index < original.Length; index++)
        {
            errors += Math.Pow((double)original[index] - decoded[index], 2);
            squares += Math.Pow(original[index], 2);
        }

        return Math.Sqrt(errors / squares);
    }

    /// <summary>How far apart neighbours of an element's format are at a value: what rounding to it may add, twice over.</summary>
    protected static double Ulp(KvElement element, double value)
    {
        var (mantissa, least) = element switch
        {
            KvElement.BFloat16 => (7, -126),
            KvElement.Float16 => (10, -14),
            KvElement.Fp8E4M3 => (3, -6),
            _ => (2, -14),
        };
        var exponent = value == 0 ? least : Math.Max(least, Math.ILogB(value));
        return Math.ScaleB(1, exponent - mantissa);
    }

    protected static int Tokens(KvCodec codec, int atLeast) => (atLeast + codec.TokenMultiple - 1) / codec.TokenMultiple * codec.TokenMultiple;

    private IEnumerable<(KvCodec Codec, StripData Strip)> Cases() =>
        from codec in Codecs
        from shape in Shapes(codec)
        from strip in StripData.Edges(shape).Append(StripData.Keys(shape, 1)).Append(StripData.Noise(shape, 2)).Append(StripData.Noise(shape, 3, 1e-3))
        select (codec, strip);

    private static void Spoil(Span<byte> bytes, Random random, int round)
    {
        if (bytes.IsEmpty)
        {
            return;
        }

        if (round % 7 == 0)
        {
            random.NextBytes(bytes);
            return;
        }

        for (var change = random.Next(1, 6); change > 0; change--)
        {
            // Sizes and tables stand at the front: spoil them more often than codes.
            var place = random.Next(2) == 0 ? random.Next(Math.Min(64, bytes.Length)) : random.Next(bytes.Length);
            bytes[place] = random.Next(3) switch { 0 => 0xFF, 1 => 0, _ => (byte)random.Next(256) };
        }
    }
}
