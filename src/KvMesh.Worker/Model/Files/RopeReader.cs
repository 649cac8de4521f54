using System.Text.Json;
using KvMesh.Codecs.Layouts;

namespace KvMesh.Worker.Model.Files;

/// <summary>Reads the rope of a config.json: <c>rope_theta</c> and <c>rope_scaling</c>, or <c>rope_parameters</c>, which newer files have instead.</summary>
/// <remarks>
/// Keys are cached after rotation and shared by sequences of all lengths, so that a position must turn the same wherever it is computed. The type
/// <c>dynamic</c> therefore takes the base of the longest context from the first token on, as serving engines do (<see cref="RopeScaling.Ntk"/>), where
/// training code would grow it with the sequence.
/// </remarks>
internal static class RopeReader
{
    private const double MaxFactor = 1e6;

    // A range that has to ascend does by at least this much.
    private const double Ascent = 1.000001;

    /// <returns>The rope, and the longest sequence that it is meant for.</returns>
    public static (RopeSpec Rope, int MaxTokens) Read(string file, JsonElement config, int channels, int positions)
    {
        var isScaled = ModelJson.TryGet(config, "rope_parameters", out var scaling) || ModelJson.TryGet(config, "rope_scaling", out scaling);
        if (isScaled && scaling.ValueKind != JsonValueKind.Object)
        {
            throw new ModelFileException(file, $"the scaling of rope is {ModelJson.Short(scaling)}; it must be an object or null.");
        }

        var theta = ModelJson.Number(file, config, "rope_theta", 1.0001, 1e12, 10_000);
        var rope = new RopeSpec { Theta = isScaled ? ModelJson.Number(file, scaling, "rope_theta", 1.0001, 1e12, theta) : theta, RotaryChannels = channels };
        var type = isScaled ? ModelJson.Text(file, scaling, "rope_type", ModelJson.Text(file, scaling, "type", "default")) : "default";
        if (type == "default")
        {
            return (rope, positions);
        }

        return type switch
        {
            "linear" => Stretched(rope with { Scaling = RopeScaling.Linear, Factor = Factor(file, scaling) }, positions),
            "dynamic" => Stretched(Dynamic(file, scaling, rope), positions),
            "llama3" => (Llama3(file, scaling, rope), positions),
            "yarn" => Yarn(file, scaling, rope, positions),
            _ => throw new ModelFileException(file, $"rope type '{type}' is unknown; there are default, linear, dynamic, llama3 and yarn."),
        };
    }

    /// <summary>These types give the context from before it was stretched.</summary>
    private static (RopeSpec Rope, int MaxTokens) Stretched(RopeSpec rope, int tokens) => (rope, (int)Math.Min(ModelConfig.MaxPositions, tokens * rope.Factor));

    private static double Factor(string file, JsonElement scaling) => ModelJson.Number(file, scaling, "factor", 1, MaxFactor);

    private static int OriginalTokens(string file, JsonElement scaling, int? otherwise = null) =>
        ModelJson.Integer(file, scaling, "original_max_position_embeddings", 1, ModelConfig.MaxPositions, otherwise);

    private static RopeSpec Dynamic(string file, JsonElement scaling, RopeSpec rope) => rope.RotaryChannels > 2
        ? rope with { Scaling = RopeScaling.Ntk, Factor = Factor(file, scaling) }
        : throw new ModelFileException(file, $"'head_dim' is {rope.RotaryChannels}; rope of type dynamic needs more than 2 channels.");

    private static RopeSpec Llama3(string file, JsonElement scaling, RopeSpec rope)
    {
        var low = ModelJson.Number(file, scaling, "low_freq_factor", 1e-6, MaxFactor);
        return rope with
        {
            Scaling = RopeScaling.Llama3,
            Factor = Factor(file, scaling),
            LowFrequencyFactor = low,
            HighFrequencyFactor = ModelJson.Number(file, scaling, "high_freq_factor", low * Ascent, 2 * MaxFactor),
            OriginalTokens = OriginalTokens(file, scaling),
        };
    }

    private static (RopeSpec Rope, int MaxTokens) Yarn(string file, JsonElement scaling, RopeSpec rope, int positions)
    {
        if (!ModelJson.Flag(file, scaling, "truncate", true))
        {
            throw new ModelFileException(file, "'truncate' is false; rope of type yarn begins and ends its ramp at whole channels.");
        }

        var slow = ModelJson.Number(file, scaling, "beta_slow", 1e-6, MaxFactor, 1);
        rope = rope with
        {
            Scaling = RopeScaling.Yarn,
            Factor = Factor(file, scaling),
            LowFrequencyFactor = slow,
            HighFrequencyFactor = ModelJson.Number(file, scaling, "beta_fast", slow * Ascent, 2 * MaxFactor, 32),
            OriginalTokens = OriginalTokens(file, scaling, positions),
        };
        rope = rope with { AttentionFactor = ModelJson.Number(file, scaling, "attention_factor", 1e-6, MaxFactor, AttentionFactor(file, scaling, rope.Factor)) };
        return Stretched(rope, rope.OriginalTokens);
    }

    /// <summary>The quotient of two scales, where a file gives both; else 0: what the method says.</summary>
    private static double AttentionFactor(string file, JsonElement scaling, double factor)
    {
        var scale = ModelJson.Number(file, scaling, "mscale", 0, MaxFactor, 0);
        var scaleOfAll = ModelJson.Number(file, scaling, "mscale_all_dim", 0, MaxFactor, 0);
        return scale > 0 && scaleOfAll > 0 ? Scale(factor, scale) / Scale(factor, scaleOfAll) : 0;
    }

    private static double Scale(double factor, double weight) => (0.1 * weight * Math.Log(factor)) + 1;
}
