using KvMesh.Engine.Arena;
using KvMesh.Protocol;

namespace KvMesh.Engine.Host;

/// <summary>
/// The part of an arena that the system had no memory for when it was wanted: taken from the allocator, so that blocks make room for each
/// other in what there is, and given back after a while, to be tried again. Every member is called under the lock of the allocator.
/// </summary>
internal sealed class WithheldMemory(ArenaMapping arena, ExtentAllocator allocator, int mark, TimeProvider time)
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(10);

    private readonly List<long> _offsets = [];
    private long _since;

    public long Bytes { get; private set; }

    /// <summary>Takes whatever is free and has no memory behind it. Returns its bytes.</summary>
    public long TakeAll()
    {
        var before = Bytes;
        foreach (var (offset, bytes) in arena.UnbackedRuns())
        {
            // A run may be in use in part, by others who are just asking for memory too.
            for (var rest = TryTake(offset, bytes) ? 0 : bytes; rest > 0; rest -= Math.Min(rest, ArenaBacking.ChunkBytes))
            {
                TryTake(offset + bytes - rest, Math.Min(rest, ArenaBacking.ChunkBytes));
            }
        }

        _since = time.GetTimestamp();
        return Bytes - before;
    }

    /// <summary>Gives everything back when it is time to try again. Returns its bytes.</summary>
    public long ReturnIfDue()
    {
        if (Bytes == 0 || time.GetElapsedTime(_since) < Pause)
        {
            return 0;
        }

        var bytes = Bytes;
        _offsets.ForEach(allocator.Free);
        _offsets.Clear();
        Bytes = 0;
        return bytes;
    }

    private bool TryTake(long offset, long bytes)
    {
        bytes = bytes / Limits.GranuleBytes * Limits.GranuleBytes;
        if (bytes == 0 || !allocator.TryReserveAt(offset, bytes))
        {
            return false;
        }

        allocator.SetMark(offset, mark);
        _offsets.Add(offset);
        Bytes += bytes;
        return true;
    }
}
