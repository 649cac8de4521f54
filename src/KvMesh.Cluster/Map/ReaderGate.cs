using KvMesh.Protocol.Memory;

namespace KvMesh.Cluster.Map;

/// <summary>
/// Knows when nobody can be reading a table any more that was replaced. A reader enters and leaves, which costs two additions on a counter
/// that few share; the writer hands in what it replaced, and it is freed two epochs later: an epoch ends when all readers of the one
/// before it have left. Readers stay for microseconds, so little waits here.
/// </summary>
internal sealed class ReaderGate
{
    private const int Stripes = 16;

    /// <summary>Counters are a cache line apart, so that readers on several cores do not disturb each other.</summary>
    private const int Spacing = 16;

    private readonly int[] _readers = new int[2 * Stripes * Spacing];
    private readonly Lock _retiring = new();
    private readonly Queue<(long Epoch, NativeArray<MapEntry> Entries)> _retired = new();
    private long _epoch;

    /// <summary>Bytes that wait for readers to leave.</summary>
    public long RetiredBytes
    {
        get
        {
            lock (_retiring)
            {
                return _retired.Sum(table => table.Entries.Bytes);
            }
        }
    }

    /// <summary>Begins to read. Give the result to <see cref="Leave"/>, on any thread.</summary>
    public int Enter()
    {
        var stripe = (Environment.CurrentManagedThreadId & (Stripes - 1)) * Spacing;
        while (true)
        {
            var epoch = Volatile.Read(ref _epoch);
            var counter = ((int)(epoch & 1) * Stripes * Spacing) + stripe;
            Interlocked.Increment(ref _readers[counter]);
            if (Volatile.Read(ref _epoch) == epoch)
            {
                return counter;
            }

            Interlocked.Decrement(ref _readers[counter]);
        }
    }

    public void Leave(int counter) => Interlocked.Decrement(ref _readers[counter]);

    /// <summary>Frees a table once nobody can read it. New readers must not find it any more.</summary>
    public void Retire(NativeArray<MapEntry> entries)
    {
        lock (_retiring)
        {
            _retired.Enqueue((_epoch, entries));
            Advance_NeedsLock();
        }
    }

    /// <summary>Frees what can be freed by now.</summary>
    public void Advance()
    {
        lock (_retiring)
        {
            Advance_NeedsLock();
        }
    }

    private void Advance_NeedsLock()
    {
        // Twice: what was handed in a moment ago goes at once when nobody reads.
        for (var step = 0; step < 2 && _retired.Count > 0 && HasLeft(_epoch - 1); step++)
        {
            Interlocked.Exchange(ref _epoch, _epoch + 1);
        }

        while (_retired.TryPeek(out var table) && table.Epoch + 2 <= _epoch)
        {
            _retired.Dequeue();
            table.Entries.Dispose();
        }
    }

    private bool HasLeft(long epoch)
    {
        var first = (int)(epoch & 1) * Stripes * Spacing;
        for (var stripe = 0; stripe < Stripes; stripe++)
        {
            if (Volatile.Read(ref _readers[first + (stripe * Spacing)]) != 0)
            {
                return false;
            }
        }

        return true;
    }
}
