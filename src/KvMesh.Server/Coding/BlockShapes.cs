using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Payloads;
using KvMesh.Engine.Coding;
using KvMesh.Protocol.Keys;

namespace KvMesh.Server.Coding;

/// <summary>What is known of a block's bytes.</summary>
internal enum ShapeStatus
{
    Unknown,

    /// <summary>It should have a layout, and is not as long as a block of it.</summary>
    WrongSize,

    Known,
}

/// <summary>
/// Finds out which part of which layout a block is: from its key, and from what its client wrote beside it. Where the two disagree the client's
/// description counts, since it was written with these very bytes. Any thread.
/// </summary>
internal sealed class BlockShapes(LayoutBook book, PayloadGeometries geometries)
{
    /// <summary>What policies call layouts that nothing but LMCache's descriptions tells of.</summary>
    public const string DescribedName = "lmcache";

    private const int LatentRowChannels = 576;

    /// <summary>Which part of which layout a block is.</summary>
    /// <param name="block">The block.</param>
    /// <param name="shape">Layout and part; of a block of a wrong size the layout only.</param>
    public ShapeStatus Find(in CodedBlock block, out BlockShape shape)
    {
        shape = default;
        var isNamed = BlockParts.TryFind(book, block, out var part);
        if (!block.Companion.IsEmpty)
        {
            return TryDescribed(block, isNamed ? part : null, out shape);
        }

        if (!isNamed)
        {
            return ShapeStatus.Unknown;
        }

        var isMeasured = TryMeasure(part, block.PayloadBytes, out var measured);
        shape = new BlockShape(part.Entry.Name, part.Entry.Layout, measured);
        return isMeasured ? ShapeStatus.Known : ShapeStatus.WrongSize;
    }

    /// <summary>The part and the tokens of a block of that many bytes. False: no number of tokens takes so many.</summary>
    private bool TryMeasure(in BlockPart part, int bytes, out CodedPreamble measured)
    {
        measured = default;
        var whole = WholeOf(part);
        if (geometries.Find(part.Entry.Layout, whole) is { } full && full.Bytes == bytes)
        {
            measured = whole;
            return true;
        }

        if (geometries.Find(part.Entry.Layout, whole with { Tokens = 1 }) is not { } single || bytes % single.Bytes != 0 || bytes / single.Bytes >= whole.Tokens)
        {
            return false;
        }

        measured = whole with { Tokens = bytes / single.Bytes };
        return geometries.Find(part.Entry.Layout, measured)?.Bytes == bytes;
    }

    private static CodedPreamble WholeOf(in BlockPart part) => new(
        part.Order, part.Element, part.Entry.Layout.BlockTokens, part.FirstLayer, part.LayerCount == 0 ? part.Entry.Layout.Layers.Length : part.LayerCount,
        part.Rank, part.Ranks > 1 ? part.Ranks : 0);

    private ShapeStatus TryDescribed(in CodedBlock block, BlockPart? named, out BlockShape shape)
    {
        shape = default;
        if (!LmcacheMetadata.TryRead(block.Companion, out var metadata) || !TryRead(metadata, out var described))
        {
            return ShapeStatus.Unknown;
        }

        shape = new BlockShape(named?.Entry.Name ?? DescribedName, named?.Entry.Layout!, default);
        if (metadata.PayloadBytes != block.PayloadBytes)
        {
            return ShapeStatus.WrongSize;
        }

        // A layout with a name knows heads and rotation as well.
        if (named is { } part && WholeOf(part) with { Order = described.Order, Element = described.Element, Tokens = described.Tokens } is var known
            && (part.LayerCount > 0 ? known : known with { LayerCount = described.LayerCount }) is var fitting
            && geometries.Find(part.Entry.Layout, fitting)?.Bytes == block.PayloadBytes)
        {
            shape = new BlockShape(part.Entry.Name, part.Entry.Layout, fitting);
            return ShapeStatus.Known;
        }

        if (geometries.Described(described) is not { } layout || geometries.Find(layout, described)?.Bytes != block.PayloadBytes)
        {
            return ShapeStatus.Unknown;
        }

        shape = new BlockShape(DescribedName, layout, described);
        return ShapeStatus.Known;
    }

    /// <summary>False: a format, an element or a mixture of layers that no codec here knows.</summary>
    private static bool TryRead(in LmcacheMetadata metadata, out CodedPreamble described)
    {
        described = default;
        if (metadata.GroupCount != 1)
        {
            return false;
        }

        var group = metadata.Group(0);
        KvElement? element = group.Element switch
        {
            1 or 2 => KvElement.Float16,
            3 => KvElement.BFloat16,
            7 => KvElement.Fp8E4M3,
            8 => KvElement.Fp8E5M2,
            _ => null,
        };
        (BlockOrder Order, int Layers, int Tokens, int Hidden)? order = metadata.Format switch
        {
            LmcacheFormat.KeysValuesLayers when group.First == 2 => (BlockOrder.PartLayerTokenHead, group.Second, group.Third, group.Fourth),
            LmcacheFormat.TokensKeysValues when group is { Second: 2, Fourth: 0 } => (BlockOrder.LayerTokenPartHead, 1, group.First, group.Third),
            LmcacheFormat.KeysValuesTokens when group is { First: 2, Fourth: 0 } => (BlockOrder.PartLayerTokenHead, 1, group.Second, group.Third),
            LmcacheFormat.Latent when group is { First: 1, Fourth: LatentRowChannels } => (BlockOrder.PartLayerTokenHead, group.Second, group.Third, group.Fourth),
            _ => null,
        };
        if (element is null || order is not { } lies || lies.Layers is < 1 or > KvLayout.MaxLayers || lies.Tokens is < 1 or > KvLayout.MaxBlockTokens || lies.Hidden < 1)
        {
            return false;
        }

        var shape = metadata.Format == LmcacheFormat.Latent ? new PayloadShape(lies.Layers, 0, lies.Hidden) : ShapeOf(lies.Layers, lies.Hidden);
        described = new CodedPreamble(lies.Order, element.Value, lies.Tokens, 0, lies.Layers, 0, 0) { Shape = shape };
        return shape.Channels <= KvLayout.MaxWidth && shape.Heads <= KvLayout.MaxWidth;
    }

    /// <summary>Heads are not described. Most have 128 channels, others 64; where neither divides the row, it is taken as one head.</summary>
    private static PayloadShape ShapeOf(int layers, int hidden) =>
        hidden % 128 == 0 ? new(layers, hidden / 128, 128) : hidden % 64 == 0 ? new(layers, hidden / 64, 64) : new(layers, 1, hidden);
}

/// <summary>Which part of which layout a block is, and what policies call the layout.</summary>
internal readonly record struct BlockShape(string Name, KvLayout Layout, CodedPreamble Part);
