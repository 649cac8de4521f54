using KvMesh.Protocol.Sequences;

namespace KvMesh.Cluster.Sequences;

/// <summary>The own rows of one sequence in memory, in chunks, so that the 100,000th row costs what the tenth does.</summary>
internal sealed class RowLog
{
    private const int ChunkRows = 256;

    private readonly List<SegmentRow[]> _chunks = [];

    public int Count { get; private set; }

    public SegmentRow this[int index] => _chunks[index / ChunkRows][index % ChunkRows];

    /// <summary>Writes a row behind the others, or over one of them.</summary>
    public void Write(int index, in SegmentRow row)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(index, Count);
        var chunk = index / ChunkRows;
        if (chunk == _chunks.Count)
        {
            _chunks.Add(new SegmentRow[chunk == 0 ? 4 : ChunkRows]);
        }

        var rows = _chunks[chunk];
        if (index % ChunkRows == rows.Length)
        {
            Array.Resize(ref rows, Math.Min(ChunkRows, rows.Length * 4));
            _chunks[chunk] = rows;
        }

        rows[index % ChunkRows] = row;
        Count = Math.Max(Count, index + 1);
    }

    public SegmentRow[] Read(int first, int count)
    {
        var rows = new SegmentRow[Math.Max(0, Math.Min(count, Count - first))];
        for (var index = 0; index < rows.Length; index++)
        {
            rows[index] = this[first + index];
        }

        return rows;
    }

    /// <summary>Index of the row among the first ones that holds a block; -1: none does.</summary>
    public int Find(int rows, long block)
    {
        var (low, high) = (0, Math.Min(rows, Count) - 1);
        while (low <= high)
        {
            var middle = (low + high) / 2;
            var row = this[middle];
            if (block < row.StartBlock)
            {
                high = middle - 1;
            }
            else if (block >= row.EndBlock)
            {
                low = middle + 1;
            }
            else
            {
                return middle;
            }
        }

        return -1;
    }
}
