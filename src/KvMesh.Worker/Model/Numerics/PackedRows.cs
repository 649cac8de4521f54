namespace KvMesh.Worker.Model.Numerics;

/// <summary>
/// The rows of a product in tiles of <see cref="TileKernel.Height"/>, the numbers of one step side by side; one row alone lies as it is. The memory is
/// the caller's.
/// </summary>
internal readonly unsafe struct PackedRows
{
    private readonly float* _start;
    private readonly int _depth;

    /// <param name="start">Memory for <see cref="Count"/> numbers.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="depth">Numbers of a row.</param>
    public PackedRows(float* start, int rows, int depth)
    {
        _start = start;
        _depth = depth;
        Rows = rows;
    }

    public int Rows { get; }

    /// <summary>Numbers from one step to the next.</summary>
    public int Stride => Rows == 1 ? 1 : TileKernel.Height;

    public static int TileCount(int rows) => (rows + TileKernel.Height - 1) / TileKernel.Height;

    /// <summary>Numbers of memory that are needed.</summary>
    public static long Count(int rows, int depth) => rows == 1 ? depth : (long)TileCount(rows) * TileKernel.Height * depth;

    /// <summary>A step of the tile that begins with a row.</summary>
    public float* Tile(int row, int depth) => _start + ((long)row * _depth) + ((long)depth * Stride);

    /// <summary>Puts a row in its place.</summary>
    public void Set(int row, float* values)
    {
        if (Rows == 1)
        {
            new ReadOnlySpan<float>(values, _depth).CopyTo(new Span<float>(_start, _depth));
            return;
        }

        var lane = row % TileKernel.Height;
        var target = Tile(row - lane, 0) + lane;
        for (var at = 0; at < _depth; at++)
        {
            target[(long)at * TileKernel.Height] = values[at];
        }
    }
}
