using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Tests.Skv1;

/// <summary>How queries of SKV-1 look at keys.</summary>
public enum Skv1Regime
{
    /// <summary>A: diffuse, about 230 tokens matter and no sink.</summary>
    Diffuse,

    /// <summary>B: sharp, about 16 tokens matter and the first four take nearly half of all weight.</summary>
    SharpWithSink,
}

/// <summary>
/// One head of synthetic keys, values and queries (SKV-1): channels with offsets and spreads, tokens that resemble their predecessors, heavy
/// tails in values, quiet first tokens. The draws come from <see cref="Random"/> in a fixed order, so that figures of any two programs that
/// generate it compare. All numbers are bfloat16.
/// </summary>
public sealed class Skv1Sample
{
    public const int Tokens = 2048;
    public const int Channels = 128;
    public const int Queries = 64;
    public const int Seeds = 6;

    private const int KeyFactors = 48;
    private const int ValueFactors = 96;
    private const int Sinks = 4;
    private const int Targets = 3;

    private static readonly int[] OffsetChannels = [45, 52, 58, 62];
    private static readonly int[] SinkChannels = [60, 61, 63, 124, 125, 127];

    private readonly Random _random;
    private readonly Func<(float[] Keys, float[] Values)> _drawOther;
    private readonly Skv1Regime _regime;

    private Skv1Sample(int seed, Skv1Regime regime)
    {
        _random = new Random(seed);
        _regime = regime;
        var mixing = Factors(KeyFactors, column => 1.6 * Math.Pow(0.95, column));
        var means = new double[Channels];
        var spreads = new double[Channels];
        for (var channel = 0; channel < Channels; channel++)
        {
            means[channel] = 0.5 * Normal();
            spreads[channel] = Math.Exp(0.4 * Normal());
        }

        foreach (var channel in OffsetChannels)
        {
            var half = _random.Next(2) == 0 ? 0 : Channels / 2;
            means[channel + half] = ((_random.Next(2) * 2) - 1) * (6 + (6 * _random.NextDouble()));
        }

        var unrotated = DrawKeys(mixing, means, spreads);
        var (valueSpreads, valueMixing) = DrawValueLaw();
        Values = DrawValues(valueSpreads, valueMixing);
        QuietenFirstTokens(unrotated);
        Round(unrotated);
        Keys = [.. unrotated];
        Turn(Keys, 0);
        QueryVectors = DrawQueries(unrotated, means, spreads);
        _drawOther = () =>
        {
            var keys = DrawKeys(mixing, means, spreads);
            var values = DrawValues(valueSpreads, valueMixing);
            QuietenFirstTokens(keys);
            Turn(keys, 0);
            return (keys, values);
        };
    }

    public static RopeSpec Rope { get; } = new() { Theta = 500_000, RotaryChannels = Channels };

    /// <summary>Rotated keys, token by token.</summary>
    public float[] Keys { get; }

    public float[] Values { get; }

    /// <summary>Queries behind the last token.</summary>
    public float[] QueryVectors { get; }

    public static Skv1Sample Generate(int seed, Skv1Regime regime) => new(seed, regime);

    /// <summary>Keys and values of another sequence of the same model, for codecs that know a model: none of what they are measured on.</summary>
    public static (float[] Keys, float[] Values) GenerateOther(int seed, Skv1Regime regime) => new Skv1Sample(seed, regime)._drawOther();

    private double[] Factors(int count, Func<int, double> weight)
    {
        var factors = new double[Channels * count];
        for (var index = 0; index < factors.Length; index++)
        {
            factors[index] = Normal() / Math.Sqrt(count) * weight(index % count);
        }

        return factors;
    }

    private float[] DrawKeys(double[] mixing, double[] means, double[] spreads)
    {
        var keys = new float[Tokens * Channels];
        var state = new double[KeyFactors];
        for (var token = 0; token < Tokens; token++)
        {
            Step(state, token, 0.7, Normal);
            for (var channel = 0; channel < Channels; channel++)
            {
                var value = Mix(0.35 * Normal(), mixing, channel, state);
                keys[(token * Channels) + channel] = (float)(means[channel] + (spreads[channel] * value));
            }
        }

        return keys;
    }

    private (double[] Spreads, double[] Mixing) DrawValueLaw()
    {
        var spreads = new double[Channels];
        for (var channel = 0; channel < Channels; channel++)
        {
            spreads[channel] = Math.Exp(0.25 * Normal());
        }

        return (spreads, Factors(ValueFactors, _ => 1));
    }

    private float[] DrawValues(double[] spreads, double[] mixing)
    {
        var values = new float[Tokens * Channels];
        var state = new double[ValueFactors];
        for (var token = 0; token < Tokens; token++)
        {
            Step(state, token, 0.4, HeavyTailed);
            for (var channel = 0; channel < Channels; channel++)
            {
                var value = Mix(0.3 * Normal(), mixing, channel, state);
                values[(token * Channels) + channel] = (float)(0.5 * spreads[channel] * value * (token < Sinks ? 0.1 : 1));
            }
        }

        Round(values);
        return values;
    }

    private void QuietenFirstTokens(float[] keys)
    {
        for (var index = 0; index < Sinks * Channels; index++)
        {
            keys[index] *= index < Channels ? 0.3f : 0.6f;
        }

        if (_regime == Skv1Regime.SharpWithSink)
        {
            foreach (var channel in SinkChannels)
            {
                for (var token = 0; token < Tokens; token++)
                {
                    var level = token == 0 ? 7 : token < Sinks ? 2 : 0;
                    keys[(token * Channels) + channel] = (float)((0.3 * Normal()) + level);
                }
            }
        }
    }

    private float[] DrawQueries(float[] keys, double[] means, double[] spreads)
    {
        var gain = _regime == Skv1Regime.SharpWithSink ? 1.15 : 0.75;
        var queries = new float[Queries * Channels];
        for (var index = 0; index < Queries; index++)
        {
            var query = queries.AsSpan(index * Channels, Channels);
            foreach (ref var component in query)
            {
                component = (float)(0.9 * Normal());
            }

            for (var target = 0; target < Targets; target++)
            {
                var token = Sinks + _random.Next(Tokens - Sinks);
                for (var channel = 0; channel < Channels; channel++)
                {
                    query[channel] += (float)(gain * (keys[(token * Channels) + channel] - means[channel]) / spreads[channel]);
                }
            }

            for (var channel = 0; channel < Channels; channel++)
            {
                query[channel] = (float)(query[channel] / Math.Max(0.6, spreads[channel]));
            }

            foreach (var channel in _regime == Skv1Regime.SharpWithSink ? SinkChannels : [])
            {
                query[channel] = (float)(2.6 + (0.3 * Normal()));
            }
        }

        Turn(queries, Tokens);
        return queries;
    }

    private static void Step(double[] state, int token, double memory, Func<double> draw)
    {
        var fresh = Math.Sqrt(1 - (memory * memory));
        for (var factor = 0; factor < state.Length; factor++)
        {
            state[factor] = token == 0 ? draw() : (memory * state[factor]) + (fresh * draw());
        }
    }

    private static double Mix(double start, double[] mixing, int channel, double[] state)
    {
        var row = mixing.AsSpan(channel * state.Length, state.Length);
        for (var factor = 0; factor < state.Length; factor++)
        {
            start += row[factor] * state[factor];
        }

        return start;
    }

    /// <summary>Turns rows to consecutive positions and rounds them.</summary>
    private static void Turn(float[] rows, long firstPosition)
    {
        var rotation = new KeyRotation(Rope);
        var count = rows.Length / Channels;
        var table = new float[rotation.TableLength(count)];
        rotation.FillTable(firstPosition, count, table);
        rotation.Turn(rows, Channels, table, back: false, SimdLevel.Scalar);
        Round(rows);
    }

    private static void Round(float[] values)
    {
        for (var index = 0; index < values.Length; index++)
        {
            values[index] = Bf16.ToSingle(Bf16.FromSingle(values[index]));
        }
    }

    private double Normal()
    {
        var radius = Math.Sqrt(-2 * Math.Log(1 - _random.NextDouble()));
        return radius * Math.Cos(2 * Math.PI * _random.NextDouble());
    }

    /// <summary>Student's t of six degrees of freedom.</summary>
    private double HeavyTailed()
    {
        const int Degrees = 6;
        var numerator = Normal();
        double squares = 0;
        for (var degree = 0; degree < Degrees; degree++)
        {
            var draw = Normal();
            squares += draw * draw;
        }

        return numerator / Math.Sqrt(squares / Degrees);
    }
}
