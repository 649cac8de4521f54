namespace KvMesh.Cluster.Placement.Nodes;

/// <summary>Counts of the orders that a node was given, since the process started. Any thread.</summary>
public sealed class OrderFigures
{
    private const int States = 6;

    private readonly long[] _ended = new long[8 * States];
    private readonly long[] _blocks = new long[3];
    private long _movedBytes;
    private long _refused;

    /// <summary>Bytes that orders brought here.</summary>
    public long MovedBytes => Interlocked.Read(ref _movedBytes);

    /// <summary>Orders that came with the token of a deposed scheduler.</summary>
    public long Refused => Interlocked.Read(ref _refused);

    public long Ended(OrderKind kind, OrderState state) => Interlocked.Read(ref _ended[SlotOf(kind, state)]);

    public long Blocks(BlockArrival arrival) => Interlocked.Read(ref _blocks[(int)arrival]);

    internal void NoteEnded(OrderKind kind, OrderState state) => Interlocked.Increment(ref _ended[SlotOf(kind, state)]);

    internal void NoteBlock(BlockArrival arrival, long bytes)
    {
        Interlocked.Increment(ref _blocks[(int)arrival]);
        Interlocked.Add(ref _movedBytes, bytes);
    }

    internal void NoteRefused() => Interlocked.Increment(ref _refused);

    /// <summary>A kind of a later version counts as none.</summary>
    private static int SlotOf(OrderKind kind, OrderState state) => ((byte)kind < 8 ? (byte)kind * States : 0) + (byte)state;
}
