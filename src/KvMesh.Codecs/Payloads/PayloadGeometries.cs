using System.Collections.Concurrent;
using KvMesh.Codecs.Layouts;

namespace KvMesh.Codecs.Payloads;

/// <summary>Where everything lies in blocks of the parts that come by, worked out once each. Any thread.</summary>
public sealed class PayloadGeometries
{
    /// <summary>Most that are kept: a fleet has a few for each model.</summary>
    private const int MaxKept = 1024;

    private readonly ConcurrentDictionary<(KvLayout, CodedPreamble), BlockGeometry?> _geometries = new();
    private readonly ConcurrentDictionary<(PayloadShape, KvElement, int), KvLayout?> _described = new();

    /// <summary>The geometry of a part; null when the layout has no such part.</summary>
    /// <param name="layout">The layout, in any element.</param>
    /// <param name="part">Which part of it, in its own element.</param>
    public BlockGeometry? Find(KvLayout layout, in CodedPreamble part) => Keep(_geometries, (layout, part), static ((KvLayout Layout, CodedPreamble Part) key) => Make(key.Layout, key.Part));

    /// <summary>The layout of a part that says itself what it is; null when there is no such layout.</summary>
    public KvLayout? Described(in CodedPreamble part) => Keep(
        _described, (part.Shape, part.Element, part.Tokens), static ((PayloadShape Shape, KvElement Element, int Tokens) key) => key.Shape.ToLayout(key.Element, key.Tokens));

    private static BlockGeometry? Make(KvLayout layout, in CodedPreamble part)
    {
        try
        {
            return new BlockGeometry(layout.Element == part.Element ? layout : layout.With(element: part.Element), part.Order, part.Region);
        }
        catch (ArgumentException)
        {
            // Heads that do not divide among the ranks, layers beyond the last, more bytes than a block may have.
            return null;
        }
    }

    private static TValue Keep<TKey, TValue>(ConcurrentDictionary<TKey, TValue> kept, TKey key, Func<TKey, TValue> make)
        where TKey : notnull
    {
        if (kept.TryGetValue(key, out var known))
        {
            return known;
        }

        var made = make(key);
        if (kept.Count < MaxKept)
        {
            kept.TryAdd(key, made);
        }

        return made;
    }
}
