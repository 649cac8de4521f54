using System.Collections.Immutable;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Layouts;

/// <summary>
/// What the bytes of a model's blocks mean: layers, heads, channels, element, rotation, tokens. It says nothing of who holds which part:
/// tensor and pipeline parallelism are a <see cref="BlockRegion"/>, and the order in memory is a <see cref="BlockOrder"/>; neither is in the
/// hash. Two models of the same shape have the same layout. Immutable.
/// </summary>
public sealed class KvLayout : IEquatable<KvLayout>
{
    /// <summary>Most layers of a layout: several times the deepest model known.</summary>
    public const int MaxLayers = 1024;

    /// <summary>Most heads of a layer, and most channels of a row.</summary>
    public const int MaxWidth = 65_535;

    /// <summary>Most tokens of a block.</summary>
    public const int MaxBlockTokens = 16_384;

    private readonly byte[] _hash;
    private readonly PlaneShape[][] _planes;

    /// <param name="element">How numbers are stored, where a layer does not say otherwise.</param>
    /// <param name="blockTokens">Tokens of a full block.</param>
    /// <param name="layers">All layers of the model, those that alias others included.</param>
    /// <param name="rope">Rotation of keys; null for models that do not rotate, or when it is unknown.</param>
    /// <param name="keyStage">Whether stored keys are rotated.</param>
    /// <exception cref="ArgumentException">A number is out of its range, or an alias leads nowhere or in a circle.</exception>
    public KvLayout(KvElement element, int blockTokens, IEnumerable<LayerLayout> layers, RopeSpec? rope = null, KeyStage keyStage = KeyStage.Rotated)
    {
        Element = element;
        BlockTokens = blockTokens;
        Layers = [.. layers];
        Rope = rope;
        KeyStage = keyStage;
        LayoutRules.Validate(this);
        _planes = [.. Layers.Select(layer => layer.Planes(element).ToArray())];
        _hash = LayoutHash.Compute(this);
        Rotation = rope is null ? null : new KeyRotation(rope);
    }

    public KvElement Element { get; }

    public int BlockTokens { get; }

    public ImmutableArray<LayerLayout> Layers { get; }

    public RopeSpec? Rope { get; }

    public KeyStage KeyStage { get; }

    /// <summary>32 bytes that name the layout in block keys and encoded blocks; equal on every machine and version.</summary>
    public ReadOnlySpan<byte> Hash => _hash;

    /// <summary>Turns keys of the layout; null without rope.</summary>
    internal KeyRotation? Rotation { get; }

    /// <summary>Bytes of a block of <paramref name="tokens"/> tokens of all layers and heads.</summary>
    public long BlockBytes(int tokens) => BlockBytes(BlockRegion.Whole(this) with { TokenCount = tokens });

    /// <summary>Bytes of a part of a block.</summary>
    public long BlockBytes(in BlockRegion region)
    {
        long bytes = 0;
        for (var layer = region.FirstLayer; layer < region.FirstLayer + region.LayerCount; layer++)
        {
            foreach (var plane in _planes[layer])
            {
                var rows = plane.IsPerToken ? region.TokenCount : region.HoldsBlockEnd(this) ? 1 : 0;
                bytes += (long)region.Heads.Resolve(plane).Count * rows * plane.RowBytes;
            }
        }

        return bytes;
    }

    /// <summary>The tensors that are stored for a layer; none where it stores nothing of its own.</summary>
    public ReadOnlySpan<PlaneShape> Planes(int layer) => _planes[layer];

    /// <summary>The layer that stores what <paramref name="layer"/> reads as its keys; itself without an alias.</summary>
    public int KeyLayer(int layer) => LayoutRules.Follow(Layers, layer, stored => stored.KeyAlias);

    /// <summary>The layer that stores what <paramref name="layer"/> reads as its values; itself without an alias.</summary>
    public int ValueLayer(int layer) => LayoutRules.Follow(Layers, layer, stored => stored.ValueAlias);

    /// <summary>The tokens of a prefix that a layer needs to go on behind it: all, or the last of a window.</summary>
    public (int First, int Count) NeededTokens(int layer, int prefixTokens)
    {
        var described = Layers[layer];
        return described.Kind switch
        {
            LayerKind.Full or LayerKind.Latent => (0, prefixTokens),
            LayerKind.Sliding => (Math.Max(0, prefixTokens - described.WindowTokens), Math.Min(prefixTokens, described.WindowTokens)),
            _ => (prefixTokens, 0),
        };
    }

    /// <summary>The KV head that a query head of a layer reads.</summary>
    public int KvHeadOf(int layer, int queryHead)
    {
        var described = Layers[layer];
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)queryHead, (uint)described.QueryHeads, nameof(queryHead));
        return described.QueryGroups.IsEmpty ? queryHead / (described.QueryHeads / described.KeyHeads) : described.QueryGroups[queryHead];
    }

    /// <summary>The same layout with another rotation style, tokens, element or stage of keys.</summary>
    public KvLayout With(RopeStyle? style = null, int? blockTokens = null, KvElement? element = null, KeyStage? keyStage = null) => new(
        element ?? Element, blockTokens ?? BlockTokens, Layers, style is { } wanted && Rope is not null ? Rope with { Style = wanted } : Rope, keyStage ?? KeyStage);

    public bool Equals(KvLayout? other) => other is not null && Hash.SequenceEqual(other.Hash);

    public override bool Equals(object? obj) => Equals(obj as KvLayout);

    public override int GetHashCode() => BitConverter.ToInt32(_hash, 0);
}
