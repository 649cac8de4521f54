using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Blocks;

/// <summary>The rows of a strip that is being decoded, wherever they lie.</summary>
public readonly ref struct StripTarget
{
    private readonly Span<byte> _bytes;
    private readonly int _rowBytes;
    private readonly int _stride;
    private readonly KvElement _element;

    /// <param name="bytes">Memory that begins with the first row.</param>
    /// <param name="shape">Shape of the strip.</param>
    /// <param name="stride">Bytes from one row to the next.</param>
    /// <param name="streams">Whether rows may be written past the caches, because nobody reads them soon; the caller fences.</param>
    public StripTarget(Span<byte> bytes, scoped in StripShape shape, int stride, bool streams = false)
    {
        Streams = streams;
        _bytes = shape.Tokens == 0 ? [] : bytes[..(((shape.Tokens - 1) * stride) + shape.RowBytes)];
        _rowBytes = shape.RowBytes;
        _stride = stride;
        _element = shape.Element;
    }

    /// <summary>Whether rows may be written past the caches.</summary>
    internal bool Streams { get; }

    /// <summary>The elements of one token.</summary>
    public Span<byte> Row(int token) => _bytes.Slice(token * _stride, _rowBytes);

    /// <summary>Sets the elements of one token, rounding half to even. What is beyond the format becomes its largest number, not infinity.</summary>
    public void WriteRow(int token, ReadOnlySpan<float> source, SimdLevel level) => Write(source, Row(token), level);

    /// <summary>Sets consecutive rows as <see cref="WriteRow"/> does.</summary>
    public void WriteRows(int firstToken, int count, ReadOnlySpan<float> source, SimdLevel level)
    {
        var channels = _rowBytes / _element.Bytes();
        if (_stride == _rowBytes)
        {
            Write(source[..(count * channels)], _bytes.Slice(firstToken * _stride, count * _rowBytes), level);
            return;
        }

        for (var row = 0; row < count; row++)
        {
            WriteRow(firstToken + row, source.Slice(row * channels, channels), level);
        }
    }

    private void Write(ReadOnlySpan<float> source, Span<byte> rows, SimdLevel level)
    {
        ElementConversion.FromSingle(_element, source, rows, level);
        Saturation.Apply(_element, rows, level);
    }
}
