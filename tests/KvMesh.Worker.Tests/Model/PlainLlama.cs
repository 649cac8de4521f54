using System.Globalization;

namespace KvMesh.Worker.Tests.Model;

/// <summary>The same transformer written down as plainly as can be, in doubles, without a cache. Rope without scaling.</summary>
internal sealed class PlainLlama(TestShape shape, IReadOnlyDictionary<string, float[]> weights)
{
    public double[][] Logits(int[] tokens)
    {
        var stream = tokens.Select(token => Row("model.embed_tokens.weight", token, shape.Hidden)).ToArray();
        for (var layer = 0; layer < shape.Layers; layer++)
        {
            var prefix = string.Create(CultureInfo.InvariantCulture, $"model.layers.{layer}.");
            var attended = Attend(prefix, [.. stream.Select(row => Norm(row, prefix + "input_layernorm.weight"))]);
            for (var token = 0; token < tokens.Length; token++)
            {
                stream[token] = Sum(stream[token], attended[token]);
                stream[token] = Sum(stream[token], FeedForward(prefix, Norm(stream[token], prefix + "post_attention_layernorm.weight")));
            }
        }

        var head = shape.IsTied ? "model.embed_tokens.weight" : "lm_head.weight";
        return [.. stream.Select(row => Multiply(head, Norm(row, "model.norm.weight")))];
    }

    private static double[] Sum(double[] one, double[] other) => [.. one.Zip(other, (left, right) => left + right)];

    private double[][] Attend(string prefix, double[][] rows)
    {
        var queries = rows.Select((row, position) => Turn(Linear(prefix + "self_attn.q_proj", row), position)).ToArray();
        var keys = rows.Select((row, position) => Turn(Linear(prefix + "self_attn.k_proj", row), position)).ToArray();
        var values = rows.Select(row => Linear(prefix + "self_attn.v_proj", row)).ToArray();
        return [.. queries.Select((query, position) => Linear(prefix + "self_attn.o_proj", Heads(query, keys, values, position)))];
    }

    private double[] Heads(double[] query, double[][] keys, double[][] values, int position)
    {
        var result = new double[query.Length];
        for (var head = 0; head < shape.Heads; head++)
        {
            var source = head / (shape.Heads / shape.KvHeads) * shape.HeadChannels;
            var channels = Enumerable.Range(0, shape.HeadChannels).ToArray();
            var scores = Enumerable.Range(0, position + 1)
                .Select(token => channels.Sum(channel => query[(head * shape.HeadChannels) + channel] * keys[token][source + channel]) / Math.Sqrt(shape.HeadChannels)).ToArray();
            var weights = scores.Select(score => Math.Exp(score - scores.Max())).ToArray();
            foreach (var channel in channels)
            {
                result[(head * shape.HeadChannels) + channel] = weights.Select((weight, token) => weight * values[token][source + channel]).Sum() / weights.Sum();
            }
        }

        return result;
    }

    private double[] Turn(double[] heads, int position)
    {
        var result = heads.ToArray();
        var half = shape.HeadChannels / 2;
        for (var first = 0; first < heads.Length; first += shape.HeadChannels)
        {
            for (var pair = 0; pair < half; pair++)
            {
                var angle = position * Math.Pow(shape.Theta, -(double)pair / half);
                result[first + pair] = (heads[first + pair] * Math.Cos(angle)) - (heads[first + half + pair] * Math.Sin(angle));
                result[first + half + pair] = (heads[first + half + pair] * Math.Cos(angle)) + (heads[first + pair] * Math.Sin(angle));
            }
        }

        return result;
    }

    private double[] FeedForward(string prefix, double[] row)
    {
        var gate = Linear(prefix + "mlp.gate_proj", row);
        var up = Linear(prefix + "mlp.up_proj", row);
        return Linear(prefix + "mlp.down_proj", [.. gate.Zip(up, (one, other) => one / (1 + Math.Exp(-one)) * other)]);
    }

    private double[] Norm(double[] row, string name)
    {
        var scale = 1 / Math.Sqrt(row.Average(value => value * value) + 1e-5);
        return [.. row.Select((value, channel) => value * scale * weights[name][channel])];
    }

    private double[] Linear(string name, double[] row)
    {
        var result = Multiply(name + ".weight", row);
        return weights.TryGetValue(name + ".bias", out var bias) ? [.. result.Select((value, output) => value + bias[output])] : result;
    }

    private double[] Multiply(string name, double[] row)
    {
        var matrix = weights[name];
        return [.. Enumerable.Range(0, matrix.Length / row.Length).Select(output => row.Select((value, input) => value * matrix[(output * row.Length) + input]).Sum())];
    }

    private double[] Row(string name, int row, int count) => [.. weights[name].Skip(row * count).Take(count).Select(value => (double)value)];
}
