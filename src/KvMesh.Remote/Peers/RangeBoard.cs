using System.Diagnostics;

namespace KvMesh.Remote.Peers;

/// <summary>Part of a block, in whole checksum chunks but for the block's end.</summary>
internal readonly record struct ByteRange(int Start, int Bytes)
{
    public int End => Start + Bytes;
}

/// <summary>Which parts of one block are still to be asked for. One thread.</summary>
internal sealed class RangeBoard(int firstBytes, int rangeBytes)
{
    private readonly Stack<ByteRange> _returned = new();
    private int _next;
    private int _received;

    /// <summary>The part that is asked for before anybody knows how long the block is.</summary>
    public ByteRange First { get; } = new(0, firstBytes);

    /// <summary>Bytes of the block; -1 until an answer told.</summary>
    public int BlockBytes { get; private set; } = -1;

    public bool IsKnown => BlockBytes >= 0;

    public bool IsComplete => _received == BlockBytes;

    public bool HasWork => _returned.Count > 0 || (IsKnown && _next < BlockBytes);

    /// <summary>The first answer told the length; its sender brings the first part.</summary>
    public ByteRange Learn(int blockBytes)
    {
        Debug.Assert(!IsKnown, "a block has one length");
        BlockBytes = blockBytes;
        _next = Math.Min(First.Bytes, blockBytes);
        return new ByteRange(0, _next);
    }

    /// <summary>The next part that nobody brings.</summary>
    public bool TryTake(out ByteRange range)
    {
        if (_returned.TryPop(out range))
        {
            return true;
        }

        range = IsKnown ? new ByteRange(_next, Math.Min(rangeBytes, BlockBytes - _next)) : default;
        _next += range.Bytes;
        return range.Bytes > 0;
    }

    /// <summary>Whoever was to bring this part will not.</summary>
    public void Return(ByteRange range)
    {
        if (range.Bytes > 0)
        {
            _returned.Push(range);
        }
    }

    /// <summary>So many bytes more are here and right.</summary>
    public void Add(int bytes) => _received += bytes;
}
