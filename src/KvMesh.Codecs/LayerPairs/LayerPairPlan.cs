using System.Collections.Immutable;
using KvMesh.Codecs.Layouts;

namespace KvMesh.Codecs.LayerPairs;

/// <summary>
/// Which layers of a part of a block share directions, and the part that is left when they do: the second layer of each pair keeps nothing in it, the first
/// keeps the shared rows. Immutable; made once for a geometry.
/// </summary>
public sealed class LayerPairPlan
{
    /// <param name="geometry">The part.</param>
    /// <param name="firstLayer">
    /// First layer that may be paired, with the one behind it and so on; half of the layers when not given, below which layers are not alike.
    /// </param>
    public LayerPairPlan(BlockGeometry geometry, int? firstLayer = null)
    {
        var layout = geometry.Layout;
        FirstLayer = firstLayer ?? layout.Layers.Length / 2;
        ArgumentOutOfRangeException.ThrowIfNegative(FirstLayer, nameof(firstLayer));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(FirstLayer, KvLayout.MaxLayers, nameof(firstLayer));
        Whole = geometry;
        var layers = layout.Layers.ToArray();
        var pairs = ImmutableArray.CreateBuilder<int>();
        for (var layer = Math.Max(FirstLayer, geometry.Region.FirstLayer); layer + 1 < geometry.Region.FirstLayer + geometry.Region.LayerCount; layer++)
        {
            if (ArePairs(geometry, layer))
            {
                pairs.Add(layer);
                layers[layer + 1] = LayerLayout.None;
                layer++;
            }
        }

        Pairs = pairs.ToImmutable();
        Merged = Pairs.IsEmpty
            ? geometry
            : new BlockGeometry(new KvLayout(layout.Element, layout.BlockTokens, layers, layout.Rope, layout.KeyStage), geometry.Order, geometry.Region);
    }

    /// <summary>First layer that may be paired.</summary>
    public int FirstLayer { get; }

    /// <summary>The first layer of each pair; the other is the next.</summary>
    public ImmutableArray<int> Pairs { get; }

    /// <summary>The part as it is.</summary>
    public BlockGeometry Whole { get; }

    /// <summary>The part with one layer of each pair.</summary>
    public BlockGeometry Merged { get; }

    /// <summary>Layers of the same heads and channels that store their own keys and values, and of which no other reads.</summary>
    private static bool ArePairs(BlockGeometry geometry, int layer)
    {
        var layers = geometry.Layout.Layers;
        for (var other = layer; other <= layer + 1; other++)
        {
            if (layers[other].Kind is not (LayerKind.Full or LayerKind.Sliding) || layers[other].KeyAlias is not null || layers[other].ValueAlias is not null
                || layers.Any(reader => reader.KeyAlias == other || reader.ValueAlias == other))
            {
                return false;
            }
        }

        return Planes(geometry, layer, PlaneKind.Key) && Planes(geometry, layer, PlaneKind.Value)
            && geometry.Planes[geometry.IndexOf(layer, PlaneKind.Key)].HeadCount == geometry.Planes[geometry.IndexOf(layer, PlaneKind.Value)].HeadCount;
    }

    private static bool Planes(BlockGeometry geometry, int layer, PlaneKind kind)
    {
        int first = geometry.IndexOf(layer, kind), second = geometry.IndexOf(layer + 1, kind);
        return first >= 0 && second >= 0 && geometry.Planes[first].Shape == geometry.Planes[second].Shape
            && geometry.Planes[first].HeadCount == geometry.Planes[second].HeadCount;
    }
}
