using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Blocks;

/// <summary>The strips of one tensor of a part: their shapes, and where their rows lie.</summary>
internal readonly ref struct PlaneStrips
{
    private readonly BlockGeometry _geometry;
    private readonly PlaneGeometry _plane;
    private readonly long _firstPosition;
    private readonly bool _hasGaps;

    public PlaneStrips(KvCodec codec, BlockGeometry geometry, int planeIndex, long firstPosition, bool hasGaps = false)
    {
        _hasGaps = hasGaps;
        _geometry = geometry;
        _plane = geometry.Planes[planeIndex];
        _firstPosition = firstPosition;
        Joined = codec.JoinsHeads;
        IsCoded = _plane.Shape.IsPerToken && codec.Codes(_plane.Shape);
    }

    /// <summary>Whether the codec is asked at all.</summary>
    public bool IsCoded { get; }

    public bool Joined { get; }

    public int Count => Joined ? 1 : _plane.HeadCount;

    public PlaneGeometry Plane => _plane;

    /// <summary>Whether the rows of a joined strip lie apart in memory.</summary>
    public bool IsScattered => Joined && _plane.HeadCount > 1 && _plane.HeadStride != _plane.Shape.RowBytes;

    /// <summary>The shape of a strip with all its rows. Rows with a tail count it as elements; no codec sees them.</summary>
    public StripShape Shape(int strip)
    {
        var shape = _plane.Shape;
        var element = shape.TailBytes == 0 ? shape.Element : KvElement.Opaque;
        var channels = shape.TailBytes == 0 ? shape.Channels : shape.RowBytes;
        return new StripShape(
            _geometry.Layout, _plane.Layer, shape.Kind, _plane.FirstHead + strip, _geometry.Rows(_plane),
            Joined ? channels * _plane.HeadCount : channels, element, _firstPosition)
        { HasGaps = _hasGaps };
    }

    public int Offset(int strip) => _plane.RowOffset(strip, 0);

    public int Stride => _geometry.Rows(_plane) == 1 ? Shape(0).RowBytes : _plane.TokenStride;

    /// <summary>
    /// Whether no element of any head is NaN or infinite. Goes through memory in its order, so that the processor fetches ahead and the strips,
    /// which lie across each other, are near when they are coded.
    /// </summary>
    public bool AllFinite(ReadOnlySpan<byte> block, SimdLevel level)
    {
        var row = _plane.Shape.RowBytes;
        var tokens = _geometry.Rows(_plane);
        var byToken = _plane.HeadStride == row || _plane.TokenStride != row;
        var (lines, lineStride) = byToken ? (tokens, _plane.TokenStride) : (_plane.HeadCount, _plane.HeadStride);
        var (rows, rowStride) = byToken ? (_plane.HeadCount, _plane.HeadStride) : (tokens, _plane.TokenStride);
        for (var line = 0; line < lines; line++)
        {
            if (!new RowRun(_plane.Offset + (line * lineStride), rows, row, rowStride).AllFinite(block, _plane.Shape.Element, level))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Puts the rows of all heads side by side.</summary>
    public void Gather(ReadOnlySpan<byte> block, Span<byte> rows)
    {
        var row = _plane.Shape.RowBytes;
        for (var token = 0; token < _geometry.Rows(_plane); token++)
        {
            for (var head = 0; head < _plane.HeadCount; head++)
            {
                block.Slice(_plane.RowOffset(head, token), row).CopyTo(rows[(((token * _plane.HeadCount) + head) * row)..]);
            }
        }
    }
}

/// <summary>Rows at even distances.</summary>
internal readonly record struct RowRun(int Offset, int Rows, int RowBytes, int Stride)
{
    public bool AllFinite(ReadOnlySpan<byte> block, KvElement element, SimdLevel level)
    {
        if (Stride == RowBytes || Rows == 1)
        {
            return FiniteScan.AllFinite(element, block.Slice(Offset, Rows * RowBytes), level);
        }

        for (var row = 0; row < Rows; row++)
        {
            if (!FiniteScan.AllFinite(element, block.Slice(Offset + (row * Stride), RowBytes), level))
            {
                return false;
            }
        }

        return true;
    }
}
