using KvMesh.Codecs.Bases;
using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Tests.Bases;
using KvMesh.Codecs.Tests.Skv1;
using KvMesh.Codecs.TransformCoding;

namespace KvMesh.Codecs.Tests.TransformCoding;

public sealed class TransformCodecTests : KvCodecContract
{
    private static readonly CodecRegistry WithBases = CodecRegistry.WithBases(TestBases.OfStrips);

    protected override CodecRegistry Registry => WithBases;

    protected override IEnumerable<KvCodec> Codecs => [Of(0.5f), Of(2), Of(3), Of(5)];

    protected override IEnumerable<KvCodec[]> ByRisingBits => [[.. new[] { 0.5f, 1, 2, 3, 4, 5 }.Select(Of)]];

    protected override int? StripBytes(KvCodec codec, StripShape shape) => null;

    protected override void AssertWithinBound(KvCodec codec, StripData strip, float[] decoded) =>
        TestBases.AssertLosesNoMoreThanThereWas(strip, decoded, TestBases.OfStrips.Find(new BasisKey(0, strip.Shape.Kind, 0, strip.Shape.Channels))!, 1.1, Ulp);

    /// <summary>Keys of SKV-1 in axes of earlier tokens of the same head, at three bits, beside even steps of channels at as many.</summary>
    [Fact]
    public void Bits_in_axes_of_a_head_lose_less_than_in_its_channels()
    {
        var sample = Skv1Sample.Generate(1, Skv1Regime.Diffuse);
        const int Half = Skv1Sample.Tokens / 2;
        var layout = new KvLayout(KvElement.BFloat16, Half, [LayerLayout.Full(1, Skv1Sample.Channels)], Skv1Sample.Rope);
        StripData Part(int first) => StripData.Of(
            "SKV-1", new StripShape(layout, 0, PlaneKind.Key, 0, Half, Skv1Sample.Channels, KvElement.BFloat16, first),
            (token, channel) => sample.Keys[((first + token) * Skv1Sample.Channels) + channel]);
        var codec = new TransformCodec(TestBases.Calibrate(Part(0)), 3);
        var later = Part(Half);
        var encoded = Encode(codec, later, new CodecScratch());
        var error = RelativeError(later.Values, Singles(later.Shape, Decode(codec, later.Shape, encoded, new CodecScratch())));
        var steps = CodecRegistry.Standard.Find("ecq-0.5-unrotated")!;
        var compared = RelativeError(later.Values, Singles(later.Shape, Decode(steps, later.Shape, Encode(steps, later, new CodecScratch()), new CodecScratch())));
        Assert.InRange(encoded.Length * 8.0 / later.Shape.Elements, 2.5, 3.2);
        Assert.True(error < 0.8 * compared, $"{error} in axes, {compared} in channels");
    }

    /// <summary>No figures were published for them: less than even steps of channels at as many bits, and what they were measured at.</summary>
    [Fact]
    public void Presets_lose_on_SKV_1_less_than_channels_do()
    {
        foreach (var (preset, most) in new[] { ("kvtc-2", 0.29), ("kvtc-3", 0.16) })
        {
            var axes = Skv1Measurement.Measure(bases => CodecRegistry.WithBases(bases).Find(preset)!, seeds: 2);
            Assert.InRange(axes.Bits, 1, preset[^1] - '0');
            Assert.InRange(axes.Diffuse, 0, most);
        }
    }

    [Fact]
    public void Shares_of_bits_lose_least()
    {
        var random = new Random(12);
        float[] losses = [1, 0.5f, 0.1f, 0.03f, 0.006f, 0.0015f, 0.0004f];
        for (var round = 0; round < 200; round++)
        {
            var runs = random.Next(1, 5);
            var budget = random.Next(0, 3 * runs);
            float[] energies = [.. Enumerable.Range(0, runs).Select(_ => (float)Math.Exp(3 * StripData.Normal(random)))];
            var bits = new byte[runs];
            var (lossLength, choiceLength) = BitAllocation.WorkLength(runs, budget);
            BitAllocation.Share(energies, losses, budget, bits, new float[lossLength], new byte[choiceLength]);
            Assert.True(bits.Sum(one => one) <= budget);
            Assert.Equal(Least(energies, losses, budget), energies.Select((energy, run) => (double)energy * losses[bits[run]]).Sum(), 1e-4 * energies.Sum());
        }
    }

    [Fact]
    public void Takes_the_bits_that_it_was_given()
    {
        var strip = StripData.Keys(StripData.ShapeOf(256, 128), 1);
        foreach (var bits in new[] { 1, 2, 4 })
        {
            Assert.InRange(Encode(Of(bits), strip, new CodecScratch()).Length * 8.0 / strip.Shape.Elements, (bits * 0.85) - 0.1, (bits * 1.06) + 0.1);
        }
    }

    [Theory]
    [InlineData(0f)]
    [InlineData(5.5f)]
    [InlineData(1.01f)]
    [InlineData(float.NaN)]
    public void Refuses_bits_that_it_cannot_write(float bits) => Assert.Throws<ArgumentException>(() => Of(bits));

    private static double Least(float[] energies, float[] losses, int budget)
    {
        if (energies.Length == 0)
        {
            return 0;
        }

        return Enumerable.Range(0, Math.Min(losses.Length - 1, budget) + 1).Min(own => (energies[0] * (double)losses[own]) + Least(energies[1..], losses, budget - own));
    }

    private static TransformCodec Of(float bits) => new(TestBases.OfStrips, bits);
}
