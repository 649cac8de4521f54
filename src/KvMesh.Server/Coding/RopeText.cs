using System.Collections.Immutable;
using System.Text.Json;
using KvMesh.Codecs.Layouts;

namespace KvMesh.Server.Coding;

/// <summary>Reads how keys are turned, and how a model stretches its positions, as operators write it.</summary>
internal static class RopeText
{
    private const int MaxPairs = KvLayout.MaxWidth / 2;

    /// <summary>What is to be said of each way to stretch positions, besides the factor.</summary>
    private static readonly Dictionary<string, Way> Ways = new(StringComparer.Ordinal)
    {
        ["linear"] = new(RopeScaling.Linear, [], []),
        ["llama3"] = new(RopeScaling.Llama3, ["originalTokens"], ["lowFrequencyFactor", "highFrequencyFactor"]) { HighFrequencyFactor = 4 },
        ["yarn"] = new(RopeScaling.Yarn, ["originalTokens"], ["lowFrequencyFactor", "highFrequencyFactor", "attentionFactor"]) { HighFrequencyFactor = 32 },
        ["ntk"] = new(RopeScaling.Ntk, [], []),
        ["longrope"] = new(RopeScaling.LongRope, ["originalTokens", "pairFactors"], ["attentionFactor"]),
    };

    /// <summary>The rotation that an entry describes, or that of the layout it is like with what it says of it; null: neither has one.</summary>
    /// <param name="element">The entry.</param>
    /// <param name="like">Rotation of the layout that it begins from; null: none.</param>
    /// <param name="keyChannels">Channels of a key; 0: a latent layout, whose rotated part is never coded without its rotation, so nothing needs to know it.</param>
    /// <param name="where">Its place in the file, for messages.</param>
    /// <exception cref="LayoutFileException">A field is unknown, missing or out of its range.</exception>
    public static RopeSpec? Of(JsonElement element, RopeSpec? like, int keyChannels, string where)
    {
        var theta = LayoutText.Real(element, "ropeTheta", where);
        var channels = LayoutText.Number(element, "ropeChannels", where);
        var isScaled = element.TryGetProperty("ropeScaling", out var scaling);
        if (keyChannels == 0 || (theta ?? like?.Theta) is not { } known)
        {
            return channels is null && !isScaled
                ? null
                : throw new LayoutFileException(
                    $"{where}.{(isScaled ? "ropeScaling" : "ropeChannels")} says how keys are turned, and {(keyChannels == 0 ? "these are latent" : "ropeTheta is missing")}.");
        }

        var rope = (like ?? new RopeSpec { Theta = known, RotaryChannels = keyChannels }) with { Theta = known };
        rope = channels is { } turned ? rope with { RotaryChannels = turned } : rope;
        return isScaled ? Scaled(rope, scaling, $"{where}.ropeScaling") : rope;
    }

    private static RopeSpec Scaled(RopeSpec rope, JsonElement element, string where)
    {
        if (element.ValueKind != JsonValueKind.Object)
        {
            throw new LayoutFileException($"{where} must be an object.");
        }

        var type = LayoutText.Text(element, "type", where) ?? throw LayoutText.Missing("type", where);
        if (!Ways.TryGetValue(type, out var way))
        {
            throw new LayoutFileException($"{where}.type is \"{type}\"; it must be one of {string.Join(", ", Ways.Keys)}.");
        }

        string[] wanted = ["type", "factor", .. way.Needed];
        string[] fields = [.. wanted, .. way.Optional];
        if (element.EnumerateObject().Select(field => field.Name).FirstOrDefault(field => !fields.Contains(field)) is { } unknown)
        {
            throw new LayoutFileException($"{where}.{unknown} is unknown to \"{type}\"; there are {string.Join(", ", fields)}.");
        }

        if (Array.Find(wanted, field => !element.TryGetProperty(field, out _)) is { } missing)
        {
            throw LayoutText.Missing(missing, where);
        }

        // What the layout that this one is like says of its own stretching says nothing of this one.
        return new RopeSpec
        {
            Theta = rope.Theta,
            RotaryChannels = rope.RotaryChannels,
            Style = rope.Style,
            Scaling = way.Scaling,
            Factor = Above(element, "factor", 0, where) ?? 1,
            LowFrequencyFactor = Above(element, "lowFrequencyFactor", 0, where) ?? 1,
            HighFrequencyFactor = Above(element, "highFrequencyFactor", 0, where) ?? way.HighFrequencyFactor,
            OriginalTokens = LayoutText.Number(element, "originalTokens", where) ?? 8192,
            AttentionFactor = Above(element, "attentionFactor", 0, where) ?? 0,
            PairFactors = PairFactors(element, where),
        };
    }

    private static double? Above(JsonElement element, string field, double least, string where) =>
        LayoutText.Real(element, field, where) is not { } value ? null
        : double.IsFinite(value) && value > least ? value
        : throw new LayoutFileException($"{where}.{field} is {value}; it must be above {least}.");

    private static ImmutableArray<double> PairFactors(JsonElement element, string where)
    {
        if (!element.TryGetProperty("pairFactors", out var list))
        {
            return [];
        }

        return list.ValueKind == JsonValueKind.Array && list.GetArrayLength() <= MaxPairs
            && list.EnumerateArray().All(item => item.ValueKind == JsonValueKind.Number && item.TryGetDouble(out _))
            ? [.. list.EnumerateArray().Select(item => item.GetDouble())]
            : throw new LayoutFileException($"{where}.pairFactors must be a list of at most {MaxPairs} numbers, one for each pair of channels that turn together.");
    }

    private sealed record Way(RopeScaling Scaling, string[] Needed, string[] Optional)
    {
        public double HighFrequencyFactor { get; init; } = 4;
    }
}
