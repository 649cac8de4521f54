using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Blocks;

/// <summary>The rows of a strip that is to be encoded, wherever they lie.</summary>
public readonly ref struct StripSource
{
    private readonly ReadOnlySpan<byte> _bytes;
    private readonly int _rowBytes;
    private readonly int _stride;
    private readonly KvElement _element;

    /// <param name="bytes">Memory that begins with the first row.</param>
    /// <param name="shape">Shape of the strip.</param>
    /// <param name="stride">Bytes from one row to the next.</param>
    public StripSource(ReadOnlySpan<byte> bytes, scoped in StripShape shape, int stride)
    {
        _bytes = shape.Tokens == 0 ? [] : bytes[..(((shape.Tokens - 1) * stride) + shape.RowBytes)];
        _rowBytes = shape.RowBytes;
        _stride = stride;
        _element = shape.Element;
    }

    /// <summary>Bytes from one row to the next.</summary>
    internal int Stride => _stride;

    /// <summary>The elements of one token.</summary>
    public ReadOnlySpan<byte> Row(int token) => _bytes.Slice(token * _stride, _rowBytes);

    /// <summary>The elements of one token as singles, exactly.</summary>
    public void ReadRow(int token, Span<float> destination, SimdLevel level) => ElementConversion.ToSingle(_element, Row(token), destination, level);

    /// <summary>Consecutive rows as singles, exactly, one after the other.</summary>
    public void ReadRows(int firstToken, int count, Span<float> destination, SimdLevel level)
    {
        var channels = _rowBytes / _element.Bytes();
        if (_stride == _rowBytes)
        {
            ElementConversion.ToSingle(_element, _bytes.Slice(firstToken * _stride, count * _rowBytes), destination[..(count * channels)], level);
            return;
        }

        for (var row = 0; row < count; row++)
        {
            ReadRow(firstToken + row, destination.Slice(row * channels, channels), level);
        }
    }

    /// <summary>Whether no element is NaN or infinite.</summary>
    internal bool AllFinite(int tokens, SimdLevel level)
    {
        if (_stride == _rowBytes)
        {
            return FiniteScan.AllFinite(_element, _bytes[..(tokens * _rowBytes)], level);
        }

        for (var token = 0; token < tokens; token++)
        {
            if (!FiniteScan.AllFinite(_element, Row(token), level))
            {
                return false;
            }
        }

        return true;
    }
}
