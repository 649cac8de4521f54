using System.Collections.Immutable;

namespace KvMesh.Codecs.Layouts;

/// <summary>Where the rows of one stored tensor lie in the bytes of a part of a block.</summary>
/// <param name="Layer">Layer that stores it.</param>
/// <param name="Shape">Its shape in the whole model.</param>
/// <param name="FirstHead">First head of the part.</param>
/// <param name="HeadCount">Heads of the part.</param>
/// <param name="Offset">Byte of the first row of the first head and token.</param>
/// <param name="TokenStride">Bytes from one token to the next of the same head.</param>
/// <param name="HeadStride">Bytes from one head to the next of the same token.</param>
public readonly record struct PlaneGeometry(
    int Layer, PlaneShape Shape, int FirstHead, int HeadCount, int Offset, int TokenStride, int HeadStride)
{
    /// <summary>Byte of the row of a head and token, both counted from the part's first.</summary>
    public int RowOffset(int head, int token) => Offset + (head * HeadStride) + (token * TokenStride);
}

/// <summary>Where everything lies in the bytes of a part of a block, in one order. Immutable; made once per (layout, order, part).</summary>
public sealed class BlockGeometry
{
    private const int KindCount = (int)PlaneKind.State + 1;

    private readonly int[] _indexOf;

    /// <exception cref="ArgumentException">The part lies outside of the layout, has no bytes, or more than <see cref="Protocol.Limits.MaxBlockBytes"/>.</exception>
    public BlockGeometry(KvLayout layout, BlockOrder order, in BlockRegion region)
    {
        ArgumentNullException.ThrowIfNull(layout);
        region.Validate(layout);
        if (order is < BlockOrder.LayerPartTokenHead or > BlockOrder.LayerTokenPartHead)
        {
            throw new ArgumentException($"order {(byte)order} is unknown.", nameof(order));
        }

        var bytes = layout.BlockBytes(region);
        if (bytes is 0 or > Protocol.Limits.MaxBlockBytes)
        {
            throw new ArgumentException($"the part has {bytes} bytes; it must have from 1 to {Protocol.Limits.MaxBlockBytes}.");
        }

        Layout = layout;
        Order = order;
        Region = region;
        Bytes = (int)bytes;
        Planes = GeometryBuilder.Build(layout, order, region);
        _indexOf = new int[region.LayerCount * KindCount];
        Array.Fill(_indexOf, -1);
        for (var index = 0; index < Planes.Length; index++)
        {
            _indexOf[Slot(Planes[index].Layer, Planes[index].Shape.Kind)] = index;
        }
    }

    public KvLayout Layout { get; }

    public BlockOrder Order { get; }

    public BlockRegion Region { get; }

    /// <summary>Bytes of the part.</summary>
    public int Bytes { get; }

    /// <summary>What is stored, by layer and then by kind.</summary>
    public ImmutableArray<PlaneGeometry> Planes { get; }

    /// <summary>Rows of a plane in this part.</summary>
    public int Rows(in PlaneGeometry plane) => plane.Shape.IsPerToken ? Region.TokenCount : 1;

    /// <summary>Index in <see cref="Planes"/> of a tensor of a layer; -1 when the part has none.</summary>
    public int IndexOf(int layer, PlaneKind kind)
    {
        var inPart = layer >= Region.FirstLayer && layer < Region.FirstLayer + Region.LayerCount && (int)kind < KindCount;
        return inPart ? _indexOf[Slot(layer, kind)] : -1;
    }

    private int Slot(int layer, PlaneKind kind) => ((layer - Region.FirstLayer) * KindCount) + (int)kind;
}
