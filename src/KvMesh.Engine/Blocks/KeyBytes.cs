using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace KvMesh.Engine.Blocks;

/// <summary>
/// The bytes of a key, by value. Short keys lie in the structure itself: blocks of a few bytes come by the hundred thousand, and
/// an array for each would be as much work for the collector as the block.
/// </summary>
internal readonly struct KeyBytes
{
    private const int ShortBytes = 44;

    private readonly byte[]? _long;
    private readonly int _length;
    private readonly Bytes _short;

    public KeyBytes(ReadOnlySpan<byte> key)
    {
        _length = key.Length;
        if (key.Length > ShortBytes)
        {
            _long = key.ToArray();
        }
        else
        {
            key.CopyTo(_short);
        }
    }

    public int Length => _length;

    [UnscopedRef]
    public ReadOnlySpan<byte> Span => _long is { } bytes ? bytes : ((ReadOnlySpan<byte>)_short)[.._length];

    /// <summary>For keeping: a copy of a short key.</summary>
    public ReadOnlyMemory<byte> ToMemory() => _long ?? Span.ToArray();

    [InlineArray(ShortBytes)]
    private struct Bytes
    {
        private byte _first;
    }
}
