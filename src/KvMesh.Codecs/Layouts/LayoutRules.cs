using System.Collections.Immutable;

namespace KvMesh.Codecs.Layouts;

/// <summary>What must hold for a <see cref="KvLayout"/>. Errors name the field, its value and its limit.</summary>
internal static class LayoutRules
{
    public static void Validate(KvLayout layout)
    {
        if (!layout.Element.IsKnown() || layout.Element == KvElement.Opaque)
        {
            throw new ArgumentException($"element {(byte)layout.Element} is not a number format.");
        }

        Range("block tokens", layout.BlockTokens, 1, KvLayout.MaxBlockTokens);
        Range("layers", layout.Layers.Length, 1, KvLayout.MaxLayers);
        if (layout.KeyStage is not (KeyStage.Rotated or KeyStage.Unrotated))
        {
            throw new ArgumentException($"key stage {(byte)layout.KeyStage} is unknown.");
        }

        for (var layer = 0; layer < layout.Layers.Length; layer++)
        {
            ValidateLayer(layout, layer);
        }
    }

    /// <summary>Follows aliases to the layer that has none.</summary>
    /// <exception cref="ArgumentException">They lead out of the model or in a circle.</exception>
    public static int Follow(ImmutableArray<LayerLayout> layers, int layer, Func<LayerLayout, int?> aliasOf)
    {
        var at = layer;
        for (var steps = 0; aliasOf(layers[at]) is { } next; steps++)
        {
            if ((uint)next >= (uint)layers.Length)
            {
                throw new ArgumentException($"layer {at}: its alias names layer {next} of {layers.Length}.");
            }

            if (steps >= layers.Length)
            {
                throw new ArgumentException($"layer {layer}: its aliases lead in a circle.");
            }

            at = next;
        }

        return at;
    }

    private static void ValidateLayer(KvLayout layout, int layer)
    {
        var described = layout.Layers[layer];
        var where = $"layer {layer}";
        switch (described.Kind)
        {
            case LayerKind.Full or LayerKind.Sliding:
                ValidateAttention(layout, described, layer, where);
                break;
            case LayerKind.Latent:
                Range($"{where}: latent channels", described.LatentChannels, 1, KvLayout.MaxWidth);
                Range($"{where}: latent rope channels", described.LatentRopeChannels, 1, KvLayout.MaxWidth);
                Range($"{where}: latent tail bytes", described.LatentTailBytes, 0, KvLayout.MaxWidth);
                layout.Rope?.Validate(described.LatentRopeChannels, where);
                break;
            case LayerKind.State:
                Range($"{where}: state bytes", described.StateBytes, 1, Protocol.Limits.MaxBlockBytes);
                break;
            case LayerKind.None:
                break;
            default:
                throw new ArgumentException($"{where}: kind {(byte)described.Kind} is unknown.");
        }

        if (described.Kind is not (LayerKind.Full or LayerKind.Sliding) && (described.KeyAlias ?? described.ValueAlias) is not null)
        {
            throw new ArgumentException($"{where}: only layers of keys and values alias others.");
        }
    }

    private static void ValidateAttention(KvLayout layout, LayerLayout described, int layer, string where)
    {
        Range($"{where}: key heads", described.KeyHeads, 1, KvLayout.MaxWidth);
        Range($"{where}: value heads", described.ValueHeads, 1, KvLayout.MaxWidth);
        Range($"{where}: key channels", described.KeyChannels, 1, KvLayout.MaxWidth);
        Range($"{where}: value channels", described.ValueChannels, 1, KvLayout.MaxWidth);
        Range($"{where}: query heads", described.QueryHeads, 0, KvLayout.MaxWidth);
        layout.Rope?.Validate(described.KeyChannels, where);
        if (described.Kind == LayerKind.Sliding)
        {
            Range($"{where}: window tokens", described.WindowTokens, 1, int.MaxValue);
        }

        if (described.QueryGroups.IsEmpty ? described.QueryHeads % described.KeyHeads != 0 : described.QueryGroups.Length != described.QueryHeads)
        {
            throw new ArgumentException($"{where}: {described.QueryHeads} query heads do not fall on {described.KeyHeads} key heads.");
        }

        if (described.QueryGroups.Any(head => (uint)head >= (uint)described.KeyHeads))
        {
            throw new ArgumentException($"{where}: a query head reads a key head beyond {described.KeyHeads}.");
        }

        if (!described.HeadClasses.IsEmpty && described.HeadClasses.Length != described.KeyHeads)
        {
            throw new ArgumentException($"{where}: {described.HeadClasses.Length} head classes for {described.KeyHeads} key heads.");
        }

        var keys = layout.Layers[Follow(layout.Layers, layer, stored => stored.KeyAlias)];
        var values = layout.Layers[Follow(layout.Layers, layer, stored => stored.ValueAlias)];
        if (keys.KeyHeads != described.KeyHeads || keys.KeyChannels != described.KeyChannels
            || values.ValueHeads != described.ValueHeads || values.ValueChannels != described.ValueChannels)
        {
            throw new ArgumentException($"{where}: the layer that it aliases has another shape.");
        }
    }

    private static void Range(string field, int value, int least, int most)
    {
        if (value < least || value > most)
        {
            throw new ArgumentException($"{field} is {value}; it must be from {least} to {most}.");
        }
    }
}
