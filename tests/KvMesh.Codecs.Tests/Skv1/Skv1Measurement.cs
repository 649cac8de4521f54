using System.Collections.Concurrent;
using KvMesh.Codecs.Bases;
using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Tests.Skv1;

/// <summary>Measures codecs on SKV-1: eight blocks of 256 tokens of one head, coded one by one as a service would.</summary>
public static class Skv1Measurement
{
    private const int BlockTokens = 256;

    private static readonly KvLayout Layout = new(KvElement.BFloat16, BlockTokens, [LayerLayout.Full(1, Skv1Sample.Channels)], Skv1Sample.Rope);
    private static readonly BlockGeometry Geometry = new(Layout, BlockOrder.LayerPartHeadToken, BlockRegion.Whole(Layout));
    private static readonly ConcurrentDictionary<(int Seed, Skv1Regime Regime), Lazy<Prepared>> Samples = new();

    /// <summary>All figures of a codec.</summary>
    public static Skv1Figures Measure(KvCodec codec, int seeds = Skv1Sample.Seeds) => Measure((_, _) => (codec, CodecRegistry.Standard), seeds);

    /// <summary>All figures of a codec that knows the model, which each seed and regime is one of: its bases are those of another sequence of it.</summary>
    public static Skv1Figures Measure(Func<ModelBases, KvCodec> codec, int seeds = Skv1Sample.Seeds) => Measure(
        (seed, regime) =>
        {
            var bases = Skv1Bases.Of(seed, regime);
            return (codec(bases), CodecRegistry.WithBases(bases));
        },
        seeds);

    private static Skv1Figures Measure(Func<int, Skv1Regime, (KvCodec Codec, CodecRegistry Registry)> codec, int seeds)
    {
        double bits = 0, keys = 0, values = 0, diffuse = 0, sharp = 0, coded = 0;
        Lock sums = new();
        Parallel.For(1, seeds + 1, seed =>
        {
            var a = Run(codec(seed, Skv1Regime.Diffuse), seed, Skv1Regime.Diffuse, codesSinks: true);
            var b = Run(codec(seed, Skv1Regime.SharpWithSink), seed, Skv1Regime.SharpWithSink, codesSinks: false);
            var c = Run(codec(seed, Skv1Regime.SharpWithSink), seed, Skv1Regime.SharpWithSink, codesSinks: true);
            lock (sums)
            {
                bits += a.Bits / seeds;
                keys += a.Keys / seeds;
                values += a.Values / seeds;
                diffuse += a.Outputs / seeds;
                sharp += b.Outputs / seeds;
                coded += c.Outputs / seeds;
            }
        });
        return new Skv1Figures(bits, keys, values, diffuse, sharp, coded);
    }

    private static (double Bits, double Keys, double Values, double Outputs) Run(
        (KvCodec Codec, CodecRegistry Registry) coder, int seed, Skv1Regime regime, bool codesSinks)
    {
        var codec = coder.Codec;
        var prepared = Samples.GetOrAdd((seed, regime), key => new Lazy<Prepared>(() => new Prepared(Skv1Sample.Generate(key.Seed, key.Regime)))).Value;
        var sample = prepared.Sample;
        var decodedKeys = new float[sample.Keys.Length];
        var decodedValues = new float[sample.Values.Length];
        var scratch = new CodecScratch();
        var block = new byte[Geometry.Bytes];
        var encoded = new byte[BlockEncoder.MaxBytes(codec, Geometry)];
        long codedBytes = 0;
        var half = block.Length / 2;
        for (var first = 0; first < Skv1Sample.Tokens; first += BlockTokens)
        {
            var range = (first * Skv1Sample.Channels)..((first + BlockTokens) * Skv1Sample.Channels);
            ElementConversion.FromSingle(KvElement.BFloat16, sample.Keys.AsSpan(range), block.AsSpan(0, half), scratch.Level);
            ElementConversion.FromSingle(KvElement.BFloat16, sample.Values.AsSpan(range), block.AsSpan(half), scratch.Level);
            var length = BlockEncoder.Encode(codec, Geometry, block, first, new EncodeOptions { CodesSinks = codesSinks }, encoded, scratch);
            codedBytes += CodecBytes(encoded.AsSpan(0, length));
            if (BlockDecoder.Decode(coder.Registry, encoded.AsSpan(0, length), Geometry, block, scratch) is var result and not DecodeResult.Ok)
            {
                throw new InvalidOperationException($"{codec} does not decode what it encoded: {result}.");
            }

            ElementConversion.ToSingle(KvElement.BFloat16, block, decodedKeys.AsSpan(range), scratch.Level);
            ElementConversion.ToSingle(KvElement.BFloat16, block.AsSpan(half), decodedValues.AsSpan(range), scratch.Level);
        }

        var outputs = Skv1Attention.Outputs(sample.QueryVectors, decodedKeys, decodedValues);
        return (
            codedBytes * 8.0 / (2 * sample.Keys.Length), Relative(sample.Keys, decodedKeys), Relative(sample.Values, decodedValues),
            Skv1Attention.MeanError(prepared.Outputs, outputs));
    }

    /// <summary>What the codec itself wrote: without header, entries and raw rows.</summary>
    private static long CodecBytes(ReadOnlySpan<byte> encoded)
    {
        if (EncodedBlock.TryOpen(encoded, out var block) != DecodeResult.Ok)
        {
            throw new InvalidOperationException("an encoded block does not open.");
        }

        long bytes = 0;
        for (var index = 0; index < block.Header.SectionCount; index++)
        {
            bytes += block.Section(index).Length - StripEntry.Bytes - (block.Header.Raw.Rows * Skv1Sample.Channels * sizeof(ushort));
        }

        return bytes;
    }

    private static double Relative(float[] original, float[] decoded)
    {
        double errors = 0, squares = 0;
        for (var index = 0; index < original.Length; index++)
        {
            double difference = original[index] - decoded[index];
            errors += difference * difference;
            squares += (double)original[index] * original[index];
        }

        return Math.Sqrt(errors / squares);
    }

    private sealed class Prepared(Skv1Sample sample)
    {
        public Skv1Sample Sample { get; } = sample;

        public float[] Outputs { get; } = Skv1Attention.Outputs(sample.QueryVectors, sample.Keys, sample.Values);
    }
}

/// <summary>Attention of all queries of a sample over all of its tokens.</summary>
internal static class Skv1Attention
{
    public static float[] Outputs(float[] queries, float[] keys, float[] values)
    {
        const int Channels = Skv1Sample.Channels;
        var outputs = new float[queries.Length];
        var weights = new double[keys.Length / Channels];
        for (var query = 0; query < queries.Length; query += Channels)
        {
            for (var token = 0; token < weights.Length; token++)
            {
                weights[token] = Dot(queries.AsSpan(query, Channels), keys.AsSpan(token * Channels, Channels)) / Math.Sqrt(Channels);
            }

            var most = weights.Max();
            double sum = 0;
            for (var token = 0; token < weights.Length; token++)
            {
                weights[token] = Math.Exp(weights[token] - most);
                sum += weights[token];
            }

            var output = outputs.AsSpan(query, Channels);
            for (var token = 0; token < weights.Length; token++)
            {
                var weight = (float)(weights[token] / sum);
                if (weight > 1e-12f)
                {
                    AddScaled(output, values.AsSpan(token * Channels, Channels), weight);
                }
            }
        }

        return outputs;
    }

    public static double MeanError(float[] original, float[] decoded)
    {
        const int Channels = Skv1Sample.Channels;
        double sum = 0;
        for (var query = 0; query < original.Length; query += Channels)
        {
            double errors = 0, squares = 0;
            for (var channel = query; channel < query + Channels; channel++)
            {
                errors += Math.Pow((double)original[channel] - decoded[channel], 2);
                squares += Math.Pow(original[channel], 2);
            }

            sum += Math.Sqrt(errors / squares);
        }

        return sum * Channels / original.Length;
    }

    private static float Dot(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        var sum = System.Numerics.Vector<float>.Zero;
        for (var at = 0; at < a.Length; at += System.Numerics.Vector<float>.Count)
        {
            sum += new System.Numerics.Vector<float>(a[at..]) * new System.Numerics.Vector<float>(b[at..]);
        }

        return System.Numerics.Vector.Sum(sum);
    }

    private static void AddScaled(Span<float> output, ReadOnlySpan<float> value, float weight)
    {
        for (var at = 0; at < output.Length; at += System.Numerics.Vector<float>.Count)
        {
            (new System.Numerics.Vector<float>(output[at..]) + (new System.Numerics.Vector<float>(value[at..]) * weight)).CopyTo(output[at..]);
        }
    }
}
