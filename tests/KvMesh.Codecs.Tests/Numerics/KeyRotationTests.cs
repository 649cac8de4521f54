using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Tests.Numerics;

public sealed class KeyRotationTests
{
    [Fact]
    public void Sines_agree_with_the_system()
    {
        var random = new Random(2);
        for (var round = 0; round < 100_000; round++)
        {
            var angle = (random.NextDouble() - 0.1) * Math.Pow(10, random.Next(-6, 7));
            var (sine, cosine) = SineCosine.Of(angle);
            Assert.Equal(Math.Sin(angle), sine, 1e-9);
            Assert.Equal(Math.Cos(angle), cosine, 1e-9);
        }
    }

    [Theory]
    [InlineData(RopeStyle.Half)]
    [InlineData(RopeStyle.Interleaved)]
    public void Turning_there_and_back_changes_less_than_rounding_does(RopeStyle style)
    {
        var rotation = new KeyRotation(new RopeSpec { Theta = 500_000, RotaryChannels = 96, Style = style });
        var table = new float[rotation.TableLength(40)];
        rotation.FillTable(131_000, 40, table);
        var random = new Random(3);
        float[] keys = [.. Enumerable.Range(0, 40 * 128).Select(_ => (float)StripData.Normal(random))];
        foreach (var level in SimdLevels.OfThisProcessor)
        {
            var turned = keys.ToArray();
            rotation.Turn(turned, 128, table, back: false, level);
            var scalar = keys.ToArray();
            rotation.Turn(scalar, 128, table, back: false, SimdLevel.Scalar);
            Assert.Equal(scalar, turned);
            Assert.NotEqual(keys[..96], turned[..96]);
            Assert.Equal(keys[96..128], turned[96..128]);

            rotation.Turn(turned, 128, table, back: true, level);
            Assert.All(Enumerable.Range(0, keys.Length), index => Assert.Equal(keys[index], turned[index], 4e-6));
        }
    }

    [Fact]
    public void A_first_token_does_not_turn_and_one_pair_turns_by_its_angle()
    {
        var rotation = new KeyRotation(new RopeSpec { Theta = 10_000, RotaryChannels = 4 });
        var table = new float[rotation.TableLength(2)];
        rotation.FillTable(0, 2, table);
        float[] rows = [1, 2, 3, 4, 1, 0, 0, 1];
        rotation.Turn(rows, 4, table, back: false, SimdLevel.Scalar);
        Assert.Equal([1, 2, 3, 4], rows[..4]);

        // Pair 0 is channels 0 and 2 at one radian, pair 1 channels 1 and 3 at a hundredth.
        Assert.Equal((float)Math.Cos(1), rows[4], 1e-6);
        Assert.Equal((float)Math.Sin(1), rows[6], 1e-6);
        Assert.Equal((float)-Math.Sin(0.01), rows[5], 1e-6);
        Assert.Equal((float)Math.Cos(0.01), rows[7], 1e-6);
    }

    [Fact]
    public void Frequencies_stretch_as_published()
    {
        var plain = new RopeSpec { Theta = 500_000, RotaryChannels = 128 };
        var frequencies = plain.Frequencies();
        Assert.All((plain with { Scaling = RopeScaling.Linear, Factor = 4 }).Frequencies().Zip(frequencies), pair => Assert.Equal(pair.Second / 4, pair.First, 1e-12));

        // Llama 3.1: waves above 8192 tokens are eight times as long, waves below 2048 as they were.
        var stretched = (plain with { Scaling = RopeScaling.Llama3, Factor = 8 }).Frequencies();
        for (var pair = 0; pair < frequencies.Length; pair++)
        {
            var wave = 2 * Math.PI / frequencies[pair];
            var ratio = frequencies[pair] / stretched[pair];
            Assert.True(wave > 8192 ? Math.Abs(ratio - 8) < 1e-9 : wave < 2048 ? Math.Abs(ratio - 1) < 1e-9 : ratio is >= 1 and <= 8, $"pair {pair}: {ratio}");
        }
    }

    /// <summary>As transformers computes them for Qwen 2.5 with YaRN by four, and vLLM for a base that grows; each pair by itself for LongRoPE.</summary>
    [Fact]
    public void Frequencies_stretch_as_engines_have_them()
    {
        var qwen = new RopeSpec { Theta = 1_000_000, RotaryChannels = 128, Scaling = RopeScaling.Yarn, Factor = 4, HighFrequencyFactor = 32, OriginalTokens = 32_768 };
        (int Pair, double Frequency)[] published =
            [(0, 1), (20, 0.01333521432163324), (30, 0.0010643609812470017), (35, 0.0002462584069089387), (45, 1.5107409755953319e-05), (63, 3.102344401879299e-07)];
        var frequencies = qwen.Frequencies();
        Assert.All(published, pair => Assert.Equal(pair.Frequency, frequencies[pair.Pair], pair.Frequency * 1e-12));
        Assert.Equal(1.138629436111989, qwen.KeyScale, 1e-12);
        Assert.Equal(0.9, (qwen with { AttentionFactor = 0.9 }).KeyScale);

        var grown = new RopeSpec { Theta = 10_000, RotaryChannels = 128, Scaling = RopeScaling.Ntk, Factor = 4 };
        Assert.Equal(0.1578278334517379, grown.Frequencies()[10], 1e-12);
        Assert.Equal(8.882938343765066e-06, grown.Frequencies()[63], 1e-16);
        Assert.Equal(1, grown.KeyScale);

        var phi = new RopeSpec
        {
            Theta = 10_000,
            RotaryChannels = 4,
            Scaling = RopeScaling.LongRope,
            Factor = 32,
            OriginalTokens = 4096,
            PairFactors = [1.08, 2],
        };
        Assert.Equal(1 / 1.08, phi.Frequencies()[0], 1e-12);
        Assert.Equal(0.005, phi.Frequencies()[1], 1e-12);
        Assert.Equal(1.1902380714238083, phi.KeyScale, 1e-12);
    }

    [Theory]
    [InlineData(RopeScaling.Linear, RopeStyle.Half)]
    [InlineData(RopeScaling.Llama3, RopeStyle.Half)]
    [InlineData(RopeScaling.Yarn, RopeStyle.Half)]
    [InlineData(RopeScaling.Yarn, RopeStyle.Interleaved)]
    [InlineData(RopeScaling.Ntk, RopeStyle.Half)]
    [InlineData(RopeScaling.LongRope, RopeStyle.Half)]
    public void Keys_of_stretched_models_lose_their_position_and_their_length_and_get_them_back(RopeScaling scaling, RopeStyle style)
    {
        var rope = new RopeSpec
        {
            Theta = 10_000,
            RotaryChannels = 64,
            Scaling = scaling,
            Style = style,
            Factor = 8,
            PairFactors = scaling == RopeScaling.LongRope ? [.. Enumerable.Range(1, 32).Select(pair => 1 + (pair / 7.0))] : [],
        };
        var rotation = new KeyRotation(rope);
        var table = new float[rotation.TableLength(16)];
        rotation.FillTable(60_000, 16, table);
        var random = new Random(5);
        float[] keys = [.. Enumerable.Range(0, 16 * 96).Select(_ => (float)StripData.Normal(random))];
        var turned = keys.ToArray();
        rotation.Turn(turned, 96, table, back: false, SimdLevels.Best);
        double Length(float[] rows, int row) => Math.Sqrt(rows.Skip(row * 96).Take(64).Sum(value => (double)value * value));
        Assert.All(Enumerable.Range(0, 16), row => Assert.Equal(rope.KeyScale, Length(turned, row) / Length(keys, row), 1e-5));
        Assert.All(Enumerable.Range(0, 16), row => Assert.Equal(keys.AsSpan((row * 96) + 64, 32), turned.AsSpan((row * 96) + 64, 32)));
        rotation.Turn(turned, 96, table, back: true, SimdLevel.Scalar);
        Assert.All(Enumerable.Range(0, keys.Length), index => Assert.Equal(keys[index], turned[index], 5e-6));
    }
}
