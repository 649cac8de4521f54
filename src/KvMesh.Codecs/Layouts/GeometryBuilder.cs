using System.Collections.Immutable;

namespace KvMesh.Codecs.Layouts;

/// <summary>Lays the tensors of a part out, one after the other, in the order asked for.</summary>
internal sealed class GeometryBuilder
{
    private readonly KvLayout _layout;
    private readonly BlockOrder _order;
    private readonly BlockRegion _region;
    private readonly List<PlaneGeometry> _planes = [];
    private int _offset;

    private GeometryBuilder(KvLayout layout, BlockOrder order, in BlockRegion region) => (_layout, _order, _region) = (layout, order, region);

    public static ImmutableArray<PlaneGeometry> Build(KvLayout layout, BlockOrder order, in BlockRegion region)
    {
        var builder = new GeometryBuilder(layout, order, region);
        builder.AddAll();
        return [.. builder._planes.OrderBy(plane => plane.Layer).ThenBy(plane => plane.Shape.Kind)];
    }

    private void AddAll()
    {
        var layers = Enumerable.Range(_region.FirstLayer, _region.LayerCount).ToArray();
        if (_order != BlockOrder.PartLayerTokenHead)
        {
            foreach (var layer in layers)
            {
                AddLayer(layer, _layout.Planes(layer));
            }

            return;
        }

        foreach (var layer in layers)
        {
            AddLayer(layer, [.. _layout.Planes(layer).ToArray().Where(plane => plane.Kind != PlaneKind.Value)]);
        }

        foreach (var layer in layers)
        {
            AddLayer(layer, [.. _layout.Planes(layer).ToArray().Where(plane => plane.Kind == PlaneKind.Value)]);
        }
    }

    private void AddLayer(int layer, ReadOnlySpan<PlaneShape> planes)
    {
        var sideBySide = _order == BlockOrder.LayerTokenPartHead || planes is [{ Kind: PlaneKind.Latent }, ..];
        if (!sideBySide)
        {
            foreach (var plane in planes)
            {
                AddSideBySide(layer, [plane]);
            }
        }
        else
        {
            AddSideBySide(layer, planes);
        }
    }

    /// <summary>Adds tensors whose rows of one token follow each other.</summary>
    private void AddSideBySide(int layer, ReadOnlySpan<PlaneShape> planes)
    {
        var tokenBytes = 0;
        foreach (var plane in planes)
        {
            tokenBytes += _region.Heads.Resolve(plane).Count * plane.RowBytes;
        }

        var inToken = 0;
        var rows = 0;
        foreach (var plane in planes)
        {
            var (first, count) = _region.Heads.Resolve(plane);
            rows = plane.IsPerToken ? _region.TokenCount : _region.HoldsBlockEnd(_layout) ? 1 : 0;
            if (count == 0 || rows == 0)
            {
                continue;
            }

            var headFirst = _order == BlockOrder.LayerPartHeadToken && planes.Length == 1;
            _planes.Add(new PlaneGeometry(
                layer, plane, first, count, _offset + inToken,
                TokenStride: headFirst ? plane.RowBytes : tokenBytes,
                HeadStride: headFirst ? plane.RowBytes * rows : plane.RowBytes));
            inToken += count * plane.RowBytes;
        }

        _offset += tokenBytes * rows;
    }
}
