using KvMesh.Codecs.Layouts;
using KvMesh.Worker.Model.Files;

namespace KvMesh.Worker.Model.Cache;

/// <summary>
/// Where the rows of keys and values lie in a block of a model: as <see cref="BlockGeometry"/> says, so that a full block is byte for byte what nodes
/// store under the layout's hash. Keys are stored after rotation. Immutable.
/// </summary>
/// <remarks>
/// Blocks may also hold singles, in the same order with rows twice as long: for computing without rounding. No layout names those, and they
/// are not for nodes.
/// </remarks>
public sealed class KvPageFormat
{
    private readonly PlaneGeometry[] _keys;
    private readonly PlaneGeometry[] _values;
    private readonly int _scale;

    private KvPageFormat(KvLayout layout, BlockOrder order, bool holdsSingles)
    {
        var geometry = new BlockGeometry(layout, order, BlockRegion.Whole(layout));
        Layout = layout;
        Order = order;
        HoldsSingles = holdsSingles;
        _scale = holdsSingles ? 2 : 1;
        BlockBytes = checked(geometry.Bytes * _scale);
        _keys = [.. Enumerable.Range(0, layout.Layers.Length).Select(layer => geometry.Planes[geometry.IndexOf(layer, PlaneKind.Key)])];
        _values = [.. Enumerable.Range(0, layout.Layers.Length).Select(layer => geometry.Planes[geometry.IndexOf(layer, PlaneKind.Value)])];
    }

    /// <summary>What nodes call these blocks, unless they hold singles.</summary>
    public KvLayout Layout { get; }

    public BlockOrder Order { get; }

    public bool HoldsSingles { get; }

    public int BlockTokens => Layout.BlockTokens;

    public int BlockBytes { get; }

    public int Layers => _keys.Length;

    public int KvHeads => _keys[0].HeadCount;

    public int HeadChannels => _keys[0].Shape.Channels;

    /// <summary>Bytes of the key or value of one head and token.</summary>
    public int RowBytes => _keys[0].Shape.RowBytes * _scale;

    /// <summary>The blocks of a model as nodes store them.</summary>
    /// <param name="config">The model.</param>
    /// <param name="element">bfloat16 or half: keys and values are rounded to it before attention sees them, also those of the tokens being computed.</param>
    /// <param name="blockTokens">Tokens of a block.</param>
    /// <param name="order">Order of rows.</param>
    public static KvPageFormat Of(ModelConfig config, KvElement element, int blockTokens, BlockOrder order = BlockOrder.LayerPartHeadToken)
    {
        if (element is not (KvElement.BFloat16 or KvElement.Float16))
        {
            throw new ArgumentException($"keys and values are computed in BFloat16 or Float16, not in {element}.", nameof(element));
        }

        return new KvPageFormat(LayoutOf(config, element, blockTokens), order, holdsSingles: false);
    }

    /// <summary>Blocks of singles, for this process only.</summary>
    public static KvPageFormat OfSingles(ModelConfig config, int blockTokens, BlockOrder order = BlockOrder.LayerPartHeadToken) =>
        new(LayoutOf(config, KvElement.BFloat16, blockTokens), order, holdsSingles: true);

    /// <summary>First byte of the key of a head and token of a block.</summary>
    public int KeyOffset(int layer, int head, int token) => _keys[layer].RowOffset(head, token) * _scale;

    /// <summary>First byte of the value of a head and token of a block.</summary>
    public int ValueOffset(int layer, int head, int token) => _values[layer].RowOffset(head, token) * _scale;

    private static KvLayout LayoutOf(ModelConfig config, KvElement element, int blockTokens) => new(
        element, blockTokens, Enumerable.Repeat(LayerLayout.Full(config.KvHeads, config.HeadChannels), config.Layers), config.Rope);
}
