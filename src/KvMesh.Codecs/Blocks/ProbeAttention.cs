using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Blocks;

/// <summary>
/// Attention of a few queries over one head, with original and with decoded keys and values. A query looks for three tokens of the block: the
/// sum of their standardised keys and noise, on the scale of the keys, so that weights are neither flat nor one alone whatever the model.
/// </summary>
internal static class ProbeAttention
{
    private const int Queries = 8;
    private const int Targets = 3;
    private const double Gain = 0.75;
    private const double Noise = 0.9;
    private const double LeastSpread = 0.6;

    public static int WorkLength(int tokens, int keyChannels, int valueChannels) => (3 * keyChannels) + tokens + (2 * valueChannels);

    public static void Compare(
        ReadOnlySpan<float> keys, ReadOnlySpan<float> values, ReadOnlySpan<float> decodedKeys, ReadOnlySpan<float> decodedValues,
        int tokens, int channels, uint seed, Span<float> work, ref ErrorSums sums)
    {
        var valueChannels = values.Length / tokens;
        var means = work[..channels];
        var spreads = work.Slice(channels, channels);
        var query = work.Slice(2 * channels, channels);
        var weights = work.Slice(3 * channels, tokens);
        var output = work.Slice((3 * channels) + tokens, valueChannels);
        var decodedOutput = work.Slice((3 * channels) + tokens + valueChannels, valueChannels);
        Standardise(keys, tokens, means, spreads);
        var random = new ProbeRandom(seed);
        for (var index = 0; index < Queries; index++)
        {
            Ask(keys, tokens, means, spreads, query, ref random);
            Attend(query, keys, values, weights, output);
            Attend(query, decodedKeys, decodedValues, weights, decodedOutput);
            var (squares, errors) = ProbeSums.Compare(output, decodedOutput);
            if (squares > 0)
            {
                sums.AddOutput(Math.Sqrt(errors / squares));
            }
        }
    }

    private static void Standardise(ReadOnlySpan<float> keys, int tokens, Span<float> means, Span<float> spreads)
    {
        var channels = means.Length;
        means.Clear();
        spreads.Clear();
        for (var token = 0; token < tokens; token++)
        {
            ProbeSums.AddScaled(means, keys.Slice(token * channels, channels), 1f / tokens);
        }

        for (var token = 0; token < tokens; token++)
        {
            ProbeSums.AddSquares(spreads, keys.Slice(token * channels, channels), means);
        }

        for (var channel = 0; channel < channels; channel++)
        {
            spreads[channel] = MathF.Sqrt(spreads[channel] / tokens);
        }
    }

    private static void Ask(ReadOnlySpan<float> keys, int tokens, ReadOnlySpan<float> means, ReadOnlySpan<float> spreads, Span<float> query, ref ProbeRandom random)
    {
        double typical = 0;
        for (var channel = 0; channel < query.Length; channel++)
        {
            query[channel] = (float)(Noise * random.NextNormal());
            typical += spreads[channel] / query.Length;
        }

        for (var target = 0; target < Targets; target++)
        {
            var token = random.Next(tokens);
            for (var channel = 0; channel < query.Length; channel++)
            {
                if (spreads[channel] > 0)
                {
                    query[channel] += (float)(Gain * (keys[(token * query.Length) + channel] - means[channel]) / spreads[channel]);
                }
            }
        }

        for (var channel = 0; channel < query.Length; channel++)
        {
            var spread = Math.Max(LeastSpread * typical, spreads[channel]);
            query[channel] = spread > 0 ? (float)(query[channel] / spread) : 0;
        }
    }

    private static void Attend(ReadOnlySpan<float> query, ReadOnlySpan<float> keys, ReadOnlySpan<float> values, Span<float> weights, Span<float> output)
    {
        var channels = query.Length;
        var scale = 1 / Math.Sqrt(channels);
        var most = double.NegativeInfinity;
        for (var token = 0; token < weights.Length; token++)
        {
            weights[token] = (float)(ProbeSums.Dot(query, keys.Slice(token * channels, channels)) * scale);
            most = Math.Max(most, weights[token]);
        }

        double sum = 0;
        for (var token = 0; token < weights.Length; token++)
        {
            weights[token] = (float)Math.Exp(weights[token] - most);
            sum += weights[token];
        }

        output.Clear();
        for (var token = 0; token < weights.Length; token++)
        {
            ProbeSums.AddScaled(output, values.Slice(token * output.Length, output.Length), (float)(weights[token] / sum));
        }
    }
}

/// <summary>Random numbers that are the same on every machine (SplitMix64).</summary>
internal struct ProbeRandom(ulong seed)
{
    private ulong _state = seed;

    public ulong NextBits()
    {
        var value = _state += 0x9E37_79B9_7F4A_7C15;
        value = (value ^ (value >> 30)) * 0xBF58_476D_1CE4_E5B9;
        value = (value ^ (value >> 27)) * 0x94D0_49BB_1331_11EB;
        return value ^ (value >> 31);
    }

    public int Next(int count) => (int)((NextBits() >> 32) * (ulong)count >> 32);

    public double NextUnit() => (NextBits() >> 11) * (1.0 / (1UL << 53));

    /// <summary>Nearly normal: the sum of twelve uniform numbers, without functions that differ between machines.</summary>
    public double NextNormal()
    {
        double sum = -6;
        for (var term = 0; term < 12; term++)
        {
            sum += NextUnit();
        }

        return sum;
    }
}
