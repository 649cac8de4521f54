using System.Diagnostics.CodeAnalysis;
using KvMesh.Protocol;

namespace KvMesh.Engine.Arena;

/// <summary>Which node begins at each granule of an arena; 0 where none does. One owner, as its allocator.</summary>
internal readonly struct GranuleMap(int granules)
{
    /// <summary>Nodes lie close together as a rule: the search takes so many granules at first, and twice as many each time.</summary>
    private const int FirstStep = 64;
    private const int LongestStep = 1 << 20;

    private readonly int[] _nodeAt = new int[granules];

    public int Length => _nodeAt.Length;

    public ref int this[int granule] => ref _nodeAt[granule];

    /// <summary>The node that begins at <paramref name="offset"/>.</summary>
    /// <exception cref="InvalidOperationException">None does.</exception>
    public int NodeAt(long offset)
    {
        var index = offset >= 0 && offset % Limits.GranuleBytes == 0 && offset < (long)_nodeAt.Length * Limits.GranuleBytes
            ? _nodeAt[offset / Limits.GranuleBytes]
            : 0;
        if (index == 0)
        {
            ThrowNoExtent(offset);
        }

        return index;
    }

    /// <summary>
    /// The last node that begins at <paramref name="granule"/> or before it, or else the first one behind it. Looks on both sides in steps that
    /// double, so that many reservations cost little in whatever order they come.
    /// </summary>
    public int Nearest(int granule, out bool isBehind)
    {
        var nodeAt = _nodeAt.AsSpan();
        var low = granule + 1;
        var high = granule + 1;
        for (var step = FirstStep; ; step = Math.Min(step * 2, LongestStep))
        {
            var below = Math.Max(0, low - step);
            var before = nodeAt[below..low].LastIndexOfAnyExcept(0);
            if (before >= 0)
            {
                isBehind = false;
                return nodeAt[below + before];
            }

            low = below;
            var above = (int)Math.Min(nodeAt.Length, (long)high + step);
            var after = nodeAt[high..above].IndexOfAnyExcept(0);
            if (after >= 0)
            {
                isBehind = true;
                return nodeAt[high + after];
            }

            high = above;
        }
    }

    [DoesNotReturn]
    public static void ThrowNoExtent(long offset) =>
        throw new InvalidOperationException($"No extent of the arena begins at offset {offset}.");
}
