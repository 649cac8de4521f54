namespace KvMesh.Simulation.Retention;

/// <summary>
/// The disk tier of a node: a log of records. Where it is full the oldest record goes, and is written anew when its block was used since and is in no faster tier,
/// as the engine decides about the records of a segment.
/// </summary>
/// <param name="blocks">Different blocks that there are.</param>
/// <param name="capacity">Records that fit.</param>
internal sealed class SimulatedLog(int blocks, int capacity)
{
    /// <summary>Above this share of records that are the only copy, only what was used is written: it would drive out what is wanted.</summary>
    private const double FullShare = 0.8;

    private readonly Queue<int> _records = new();
    private readonly bool[] _isHere = new bool[blocks];
    private readonly int[] _hitsWhenWritten = new int[blocks];
    private int _redundant;

    public bool IsFull => _records.Count - _redundant > capacity * FullShare;

    public bool Holds(int block) => _isHere[block];

    /// <summary>Whether the block of a record is in a faster tier too: it came or left.</summary>
    public void NoteRedundant(int block, bool isRedundant) => _redundant += !_isHere[block] ? 0 : isRedundant ? 1 : -1;

    /// <summary>Writes a block that is not here. <paramref name="isInRam"/> and <paramref name="forget"/> are asked about those that have to go for it.</summary>
    public void Write(int block, int hits, Func<int, bool> isInRam, Func<int, int> hitsOf, Action<int> forget)
    {
        while (_records.Count >= capacity)
        {
            var oldest = _records.Dequeue();
            if (isInRam(oldest))
            {
                _redundant--;
                _isHere[oldest] = false;
            }
            else if (hitsOf(oldest) > _hitsWhenWritten[oldest])
            {
                _hitsWhenWritten[oldest] = hitsOf(oldest);
                _records.Enqueue(oldest);
            }
            else
            {
                _isHere[oldest] = false;
                forget(oldest);
            }
        }

        _isHere[block] = true;
        _hitsWhenWritten[block] = hits;
        _records.Enqueue(block);
    }
}
