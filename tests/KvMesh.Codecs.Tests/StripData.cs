using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Tests;

/// <summary>One strip as bytes, with what it holds as numbers.</summary>
public sealed class StripData
{
    private StripData(string name, StripShape shape, byte[] bytes)
    {
        Name = name;
        Shape = shape;
        Bytes = bytes;
        Values = new float[shape.Elements];
        ElementConversion.ToSingle(shape.Element, bytes, Values, SimdLevel.Scalar);
    }

    public string Name { get; }

    public StripShape Shape { get; }

    public byte[] Bytes { get; }

    /// <summary>The numbers, exactly as the bytes hold them.</summary>
    public float[] Values { get; }

    public StripSource Source => new(Bytes, Shape, Shape.RowBytes);

    public static StripShape ShapeOf(int tokens, int channels, KvElement element = KvElement.BFloat16, PlaneKind kind = PlaneKind.Key)
    {
        var layout = new KvLayout(
            element, Math.Max(tokens, 1), [LayerLayout.Full(1, channels)], new RopeSpec { Theta = 500_000, RotaryChannels = channels & ~1 });
        return new StripShape(layout, 0, kind, 0, tokens, channels, element, FirstPosition: 256);
    }

    public static StripData Of(string name, StripShape shape, Func<int, int, double> valueAt)
    {
        var values = new float[shape.Elements];
        for (var token = 0; token < shape.Tokens; token++)
        {
            for (var channel = 0; channel < shape.Channels; channel++)
            {
                values[(token * shape.Channels) + channel] = (float)valueAt(token, channel);
            }
        }

        var bytes = new byte[shape.Bytes];
        ElementConversion.FromSingle(shape.Element, values, bytes, SimdLevel.Scalar);
        return new StripData(name, shape, bytes);
    }

    public static StripData OfBytes(string name, StripShape shape, byte[] bytes) => new(name, shape, bytes);

    /// <summary>Numbers like keys: channels with offsets and spreads of their own.</summary>
    public static StripData Keys(StripShape shape, int seed)
    {
        var random = new Random(seed);
        double[] means = [.. Enumerable.Range(0, shape.Channels).Select(channel => channel % 29 == 3 ? 9 : Normal(random) / 2)];
        double[] spreads = [.. Enumerable.Range(0, shape.Channels).Select(_ => Math.Exp(0.4 * Normal(random)))];
        return Of("keys", shape, (_, channel) => means[channel] + (spreads[channel] * Normal(random)));
    }

    /// <summary>Normally distributed numbers without structure.</summary>
    public static StripData Noise(StripShape shape, int seed, double spread = 1)
    {
        var random = new Random(seed);
        return Of("noise", shape, (_, _) => spread * Normal(random));
    }

    /// <summary>What ranges and scales trip over.</summary>
    public static IEnumerable<StripData> Edges(StripShape shape)
    {
        yield return Of("zeros", shape, (_, _) => 0);
        yield return Of("constant", shape, (_, _) => 1.5);
        yield return Of("constant and negative", shape, (_, _) => -0.34375);
        yield return Of("one constant group", shape, (token, channel) => token < 32 && channel < 32 ? 2 : Math.Sin((token * 31) + channel));
        yield return Of("ramp", shape, (token, channel) => token - (channel / 3.0));
        yield return Of("subnormal", shape, (token, channel) => ((token + channel) % 7) * 1e-40);
        yield return Of("tiny", shape, (token, channel) => (((token * channel) % 11) - 5) * 1e-7);
        yield return Of("alternating signs of zero", shape, (token, channel) => ((token + channel) & 1) == 0 ? 0.0 : -0.0);
        var random = new Random(5);
        yield return Of("one outlier", shape, (token, channel) => token == 17 && channel == 5 ? 10_000 : Normal(random));
        yield return Of("largest", shape, (token, channel) => ((token + channel) & 1) == 0 ? 300 : -300);
    }

    /// <summary>Strips that a step or a rounding more would make infinite.</summary>
    public static IEnumerable<StripData> NearTheLargest(StripShape shape)
    {
        var largest = shape.Element switch
        {
            KvElement.Float16 => 65_504,
            KvElement.BFloat16 => 3.3895e38,
            KvElement.Fp8E4M3 => 448,
            _ => 57_344.0,
        };
        var random = new Random(6);
        yield return Of("the largest, of both signs", shape, (token, channel) => ((token + channel) & 1) == 0 ? largest : -largest);
        yield return Of("the largest, whole channels", shape, (_, channel) => channel % 3 == 0 ? largest : -largest);
        yield return Of("up to the largest", shape, (_, _) => largest * ((2 * random.NextDouble()) - 1));
        yield return Of("near the largest half", shape, (_, _) => Math.Min(largest, 65_504) * (1 - (random.NextDouble() / 50)));
        yield return Of("the largest once", shape, (token, channel) => token == 9 && channel == 2 ? Math.Min(largest, 65_504) : Normal(random));
    }

    /// <summary>Strips with something that is no finite number.</summary>
    public static IEnumerable<StripData> Unusable(StripShape shape)
    {
        double[] intruders = shape.Element == KvElement.Fp8E4M3 ? [double.NaN] : [double.NaN, double.PositiveInfinity, double.NegativeInfinity];
        foreach (var intruder in intruders)
        {
            foreach (var place in new[] { 0, (shape.Elements / 2) + 3, shape.Elements - 1 })
            {
                var data = Of($"{intruder} at {place}", shape, (token, channel) => Math.Cos(token + (7 * channel)));
                data.Values[place] = (float)intruder;
                ElementConversion.FromSingle(shape.Element, data.Values, data.Bytes, SimdLevel.Scalar);
                if (shape.Element == KvElement.Fp8E5M2 && double.IsInfinity(intruder))
                {
                    data.Bytes[place] = (byte)(intruder > 0 ? 0x7C : 0xFC);
                }

                yield return data;
            }
        }
    }

    public static double Normal(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());

    public override string ToString() => $"{Name}, {Shape.Tokens} × {Shape.Channels} {Shape.Element} {Shape.Kind}";
}
