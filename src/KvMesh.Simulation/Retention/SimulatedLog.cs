namespace KvMesh.Simulation.Retention;

/// <summary>
/// The disk tier of a node: a log of records. Where it is full the oldest record goes, and is written anew when its owner still wants it there, as the engine
/// decides about the records of a segment.
/// </summary>
/// <param name="blocks">Different blocks that there are.</param>
/// <param name="capacity">Records that fit.</param>
/// <param name="owner">Who knows what the blocks are worth.</param>
internal sealed class SimulatedLog(int blocks, int capacity, SimulatedLog.IOwner owner)
{
    /// <summary>Above this share of records that are the only copy a write drives out what is wanted.</summary>
    private const double FullShare = 0.8;

    /// <summary>Records that may be written anew for each that is given up, and what may be saved of that: a few segments of a log of hundreds of records each.</summary>
    private const int CopiesPerGivenUp = 3;
    private const int MaxCopies = 192;

    private readonly Queue<int> _records = new();
    private readonly bool[] _isHere = new bool[blocks];
    private readonly int[] _hitsWhenWritten = new int[blocks];
    private int _redundant;
    private int _copies;

    /// <summary>Who knows what the blocks of the records are worth.</summary>
    internal interface IOwner
    {
        bool IsInRam(int block);

        /// <summary>Uses since it is in some tier.</summary>
        int HitsOf(int block);

        /// <summary>Whether a block that was not used since it was written is worth being written anew.</summary>
        bool IsWorthItsPlace(int block);

        /// <summary>The only copy of a block has gone.</summary>
        void Forget(int block);
    }

    public bool IsFull => _records.Count - _redundant > capacity * FullShare;

    /// <summary>Records written, those written anew included.</summary>
    public long Written { get; private set; }

    public bool Holds(int block) => _isHere[block];

    /// <summary>Whether the block of a record is in a faster tier too: it came or left.</summary>
    public void NoteRedundant(int block, bool isRedundant) => _redundant += !_isHere[block] ? 0 : isRedundant ? 1 : -1;

    /// <summary>Writes a block that is not here, and gives up others for it.</summary>
    public void Write(int block)
    {
        while (_records.Count >= capacity)
        {
            GiveUpOldest();
        }

        Append(block);
    }

    private void GiveUpOldest()
    {
        var oldest = _records.Dequeue();
        _isHere[oldest] = false;
        if (owner.IsInRam(oldest))
        {
            _redundant--;
        }
        else if (_copies > 0 && (owner.HitsOf(oldest) > _hitsWhenWritten[oldest] || owner.IsWorthItsPlace(oldest)))
        {
            _copies--;
            Append(oldest);
            return;
        }
        else
        {
            owner.Forget(oldest);
        }

        _copies = Math.Min(_copies + CopiesPerGivenUp, MaxCopies);
    }

    private void Append(int block)
    {
        _isHere[block] = true;
        _hitsWhenWritten[block] = owner.HitsOf(block);
        _records.Enqueue(block);
        Written++;
    }
}
