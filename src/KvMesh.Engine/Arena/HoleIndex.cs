using System.Numerics;

namespace KvMesh.Engine.Arena;

/// <summary>
/// The holes of an arena by size, in two levels (Masmano et al. 2004, TLSF): a row for each power of two, 32 columns in it,
/// a list of holes for each column, and a bitmap for each level, so that a search costs the same with one hole and with a
/// million. A class spans sizes that differ by up to 1/32; within it the tightest of the first few holes is taken.
/// </summary>
internal sealed class HoleIndex(ExtentNodePool nodes)
{
    private const int ColumnBits = 5;
    private const int Columns = 1 << ColumnBits;
    private const int Rows = 32 - ColumnBits;

    /// <summary>Holes of one class that a search looks at. 8 to 64 gave the same utilisation (docs/BENCHMARKS.md, Allocator).</summary>
    private const int HolesPerSearch = 16;

    private readonly uint[] _columnMaps = new uint[Rows];
    private readonly int[] _heads = new int[Rows * Columns];
    private uint _rowMap;

    public int Count { get; private set; }

    public void Add(int index)
    {
        ref var node = ref nodes[index];
        var (row, column) = ClassOf(node.Granules);
        ref var head = ref _heads[(row * Columns) + column];
        node.PreviousHole = 0;
        node.NextHole = head;
        if (head != 0)
        {
            nodes[head].PreviousHole = index;
        }

        head = index;
        _columnMaps[row] |= 1u << column;
        _rowMap |= 1u << row;
        Count++;
    }

    public void Remove(int index)
    {
        Count--;
        ref var node = ref nodes[index];
        if (node.NextHole != 0)
        {
            nodes[node.NextHole].PreviousHole = node.PreviousHole;
        }

        if (node.PreviousHole != 0)
        {
            nodes[node.PreviousHole].NextHole = node.NextHole;
            return;
        }

        var (row, column) = ClassOf(node.Granules);
        _heads[(row * Columns) + column] = node.NextHole;
        if (node.NextHole != 0)
        {
            return;
        }

        _columnMaps[row] &= ~(1u << column);
        if (_columnMaps[row] == 0)
        {
            _rowMap &= ~(1u << row);
        }
    }

    /// <summary>A hole of at least <paramref name="granules"/>, as tight as a bounded search finds it; 0 when there is none.</summary>
    /// <remarks>
    /// A hole of the request's own class that lies behind the ones looked at can be missed. With more holes than that in one
    /// class a larger one exists in practice; when not, the caller sees a refusal and evicts.
    /// </remarks>
    public int Find(int granules)
    {
        var (row, column) = ClassOf(granules);
        var tight = Tightest(_heads[(row * Columns) + column], granules);
        if (tight != 0)
        {
            return tight;
        }

        var columns = column == Columns - 1 ? 0 : _columnMaps[row] & (uint.MaxValue << (column + 1));
        if (columns == 0)
        {
            var rows = _rowMap & (uint.MaxValue << (row + 1));
            if (rows == 0)
            {
                return 0;
            }

            row = BitOperations.TrailingZeroCount(rows);
            columns = _columnMaps[row];
        }

        return Tightest(_heads[(row * Columns) + BitOperations.TrailingZeroCount(columns)], granules);
    }

    /// <summary>The largest hole, to within the width of a class; 0 when there is none.</summary>
    public int Largest()
    {
        if (_rowMap == 0)
        {
            return 0;
        }

        var row = BitOperations.Log2(_rowMap);
        var index = _heads[(row * Columns) + BitOperations.Log2(_columnMaps[row])];
        var largest = index;
        for (var looked = 0; looked < HolesPerSearch && index != 0; looked++)
        {
            largest = nodes[index].Granules > nodes[largest].Granules ? index : largest;
            index = nodes[index].NextHole;
        }

        return largest;
    }

    private int Tightest(int index, int granules)
    {
        var best = 0;
        var bestGranules = int.MaxValue;
        for (var looked = 0; looked < HolesPerSearch && index != 0; looked++)
        {
            ref var node = ref nodes[index];
            if (node.Granules == granules)
            {
                return index;
            }

            if (node.Granules > granules && node.Granules < bestGranules)
            {
                best = index;
                bestGranules = node.Granules;
            }

            index = node.NextHole;
        }

        return best;
    }

    /// <summary>Row 0 holds the sizes below 32 granules, one column each; row r ≥ 1 those from 2^(r+4) to 2^(r+5) - 1.</summary>
    private static (int Row, int Column) ClassOf(int granules)
    {
        if (granules < Columns)
        {
            return (0, granules);
        }

        var power = BitOperations.Log2((uint)granules);
        return (power - ColumnBits + 1, (granules >> (power - ColumnBits)) & (Columns - 1));
    }
}
