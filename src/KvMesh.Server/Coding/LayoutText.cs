using System.Text.Json;
using KvMesh.Codecs.Layouts;

namespace KvMesh.Server.Coding;

/// <summary>Reads layouts as operators write them: one JSON object for each. docs/OPERATING.md has the fields.</summary>
internal static class LayoutText
{
    private const int MaxPatterns = 64;
    private const int MaxNameLength = 64;
    private const int MaxRanks = 256;

    private static readonly string[] Fields =
    [
        "name", "models", "keys", "like", "layers", "kvHeads", "headChannels", "latentChannels", "latentRopeChannels", "ropeTheta", "ropeChannels",
        "ropeScaling", "element", "blockTokens", "order", "ranks",
    ];

    private static readonly Dictionary<string, KvElement> Elements = new(StringComparer.Ordinal)
    {
        ["bf16"] = KvElement.BFloat16,
        ["fp16"] = KvElement.Float16,
        ["fp8-e4m3"] = KvElement.Fp8E4M3,
        ["fp8-e5m2"] = KvElement.Fp8E5M2,
    };

    private static readonly Dictionary<string, BlockOrder> Orders = new(StringComparer.Ordinal)
    {
        ["layer-kv-token-head"] = BlockOrder.LayerPartTokenHead,
        ["layer-kv-head-token"] = BlockOrder.LayerPartHeadToken,
        ["kv-layer-token-head"] = BlockOrder.PartLayerTokenHead,
        ["layer-token-kv-head"] = BlockOrder.LayerTokenPartHead,
    };

    /// <param name="element">The object.</param>
    /// <param name="where">Its place in the file, for messages.</param>
    /// <exception cref="LayoutFileException">A field is unknown, missing or out of its range.</exception>
    public static LayoutEntry Read(JsonElement element, string where)
    {
        if (element.ValueKind != JsonValueKind.Object)
        {
            throw new LayoutFileException($"{where} must be an object.");
        }

        if (element.EnumerateObject().Select(field => field.Name).FirstOrDefault(field => !Fields.Contains(field)) is { } unknown)
        {
            throw new LayoutFileException($"{where}.{unknown} is unknown; there are {string.Join(", ", Fields)}.");
        }

        var name = Text(element, "name", where) ?? throw new LayoutFileException($"{where}.name is missing.");
        if (name.Length is 0 or > MaxNameLength)
        {
            throw new LayoutFileException($"{where}.name has {name.Length} characters; it must have from 1 to {MaxNameLength}.");
        }

        try
        {
            return new LayoutEntry(name, LayoutOf(element, where), Choice(element, "order", where, Orders) ?? BlockOrder.LayerPartTokenHead)
            {
                Models = Patterns(element, "models", where) ?? [name],
                Keys = Patterns(element, "keys", where) ?? [],
                Ranks = RanksOf(element, where),
                Text = element.GetRawText(),
            };
        }
        catch (ArgumentException exception)
        {
            throw new LayoutFileException($"{where}: {exception.Message}", exception);
        }
    }

    private static int RanksOf(JsonElement element, string where)
    {
        var ranks = Number(element, "ranks", where) ?? 1;
        return ranks is >= 1 and <= MaxRanks ? ranks : throw new LayoutFileException($"{where}.ranks is {ranks}; it must be from 1 to {MaxRanks}.");
    }

    private static KvLayout LayoutOf(JsonElement element, string where)
    {
        var stored = Choice(element, "element", where, Elements);
        var tokens = Number(element, "blockTokens", where);
        if (Text(element, "like", where) is { } like)
        {
            var known = KnownModels.Find(like)
                ?? throw new LayoutFileException($"{where}.like is \"{like}\"; it must be one of {string.Join(", ", KnownModels.Names)}.");
            var sized = known.With(blockTokens: tokens, element: stored);
            return RopeText.Of(element, sized.Rope, sized.Layers[0].KeyChannels, where) is { } turned
                ? new KvLayout(sized.Element, sized.BlockTokens, sized.Layers, turned, sized.KeyStage)
                : sized;
        }

        var layers = Number(element, "layers", where) ?? throw new LayoutFileException($"{where} has neither \"like\" nor \"layers\".");
        if (layers is < 1 or > KvLayout.MaxLayers)
        {
            throw new LayoutFileException($"{where}.layers is {layers}; it must be from 1 to {KvLayout.MaxLayers}.");
        }

        return new KvLayout(
            stored ?? KvElement.BFloat16, tokens ?? KnownModels.BlockTokens, Enumerable.Repeat(LayerOf(element, where), layers),
            RopeText.Of(element, null, Number(element, "headChannels", where) ?? 0, where));
    }

    private static LayerLayout LayerOf(JsonElement element, string where)
    {
        if (Number(element, "latentChannels", where) is { } latent)
        {
            return LayerLayout.Latent(latent, Number(element, "latentRopeChannels", where) ?? throw Missing("latentRopeChannels", where));
        }

        return LayerLayout.Full(
            Number(element, "kvHeads", where) ?? throw Missing("kvHeads", where), Number(element, "headChannels", where) ?? throw Missing("headChannels", where));
    }

    internal static LayoutFileException Missing(string field, string where) => new($"{where}.{field} is missing.");

    internal static string? Text(JsonElement element, string field, string where)
    {
        if (!element.TryGetProperty(field, out var value))
        {
            return null;
        }

        return value.ValueKind == JsonValueKind.String ? value.GetString() : throw new LayoutFileException($"{where}.{field} is {value}; it must be text.");
    }

    internal static int? Number(JsonElement element, string field, string where)
    {
        if (!element.TryGetProperty(field, out var value))
        {
            return null;
        }

        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number)
            ? number
            : throw new LayoutFileException($"{where}.{field} is {value}; it must be a whole number.");
    }

    internal static double? Real(JsonElement element, string field, string where)
    {
        if (!element.TryGetProperty(field, out var value))
        {
            return null;
        }

        return value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number)
            ? number
            : throw new LayoutFileException($"{where}.{field} is {value}; it must be a number.");
    }

    private static T? Choice<T>(JsonElement element, string field, string where, Dictionary<string, T> choices)
        where T : struct
    {
        if (Text(element, field, where) is not { } text)
        {
            return null;
        }

        return choices.TryGetValue(text, out var value)
            ? value
            : throw new LayoutFileException($"{where}.{field} is \"{text}\"; it must be one of {string.Join(", ", choices.Keys)}.");
    }

    private static string[]? Patterns(JsonElement element, string field, string where)
    {
        if (!element.TryGetProperty(field, out var value))
        {
            return null;
        }

        if (value.ValueKind != JsonValueKind.Array || value.GetArrayLength() > MaxPatterns
            || value.EnumerateArray().Any(item => item.ValueKind != JsonValueKind.String || item.GetString()!.Length == 0))
        {
            throw new LayoutFileException($"{where}.{field} must be a list of at most {MaxPatterns} patterns.");
        }

        return [.. value.EnumerateArray().Select(item => item.GetString()!)];
    }
}
