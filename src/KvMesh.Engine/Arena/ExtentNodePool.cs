namespace KvMesh.Engine.Arena;

/// <summary>What a run of granules is at the moment.</summary>
internal enum ExtentState : byte
{
    /// <summary>The node describes nothing and waits in the pool.</summary>
    Unused,

    /// <summary>Free, and used before: its pages are in memory.</summary>
    Hole,

    /// <summary>Free and never used: the end of the arena beyond the high-water mark. At most one node is in this state.</summary>
    Cold,

    /// <summary>Handed out.</summary>
    Taken,
}

/// <summary>
/// One run of granules. All nodes form a list in address order without gaps (<see cref="Previous"/>, <see cref="Next"/>), and
/// holes of one size class form a list of their own. 0 ends either.
/// </summary>
internal struct ExtentNode
{
    public int Start;
    public int Granules;
    public int Previous;
    public int Next;
    public int PreviousHole;
    public int NextHole;

    /// <summary>What the caller said about an extent when it took it.</summary>
    public int Mark;

    /// <summary>Bytes of the last granule that the owner did not ask for.</summary>
    public ushort SpareBytes;
    public ExtentState State;
}

/// <summary>
/// The nodes of one allocator, in chunks that are added as they are needed and never moved, so that a reference to a node
/// stays good. Bounded by the count given at construction.
/// </summary>
internal sealed class ExtentNodePool
{
    private const int ChunkBits = 14;
    private const int ChunkNodes = 1 << ChunkBits;

    private readonly ExtentNode[][] _chunks;
    private int _freeNode;
    private int _nextUnused = 1;

    public ExtentNodePool(int maxNodes) => _chunks = new ExtentNode[(maxNodes >> ChunkBits) + 1][];

    public ref ExtentNode this[int index] => ref _chunks[index >> ChunkBits][index & (ChunkNodes - 1)];

    public int Rent(int start, int granules, ExtentState state)
    {
        var index = _freeNode;
        if (index != 0)
        {
            _freeNode = this[index].Next;
        }
        else
        {
            index = _nextUnused++;
            _chunks[index >> ChunkBits] ??= new ExtentNode[ChunkNodes];
        }

        this[index] = new ExtentNode { Start = start, Granules = granules, State = state };
        return index;
    }

    public void Return(int index)
    {
        this[index].State = ExtentState.Unused;
        this[index].Next = _freeNode;
        _freeNode = index;
    }
}
