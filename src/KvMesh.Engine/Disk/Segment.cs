using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using KvMesh.Protocol;

namespace KvMesh.Engine.Disk;

/// <summary>What is known in memory of a record: 24 bytes.</summary>
internal struct RecordSlot
{
    public long Sequence;
    public uint FirstGranule;
    public uint GranuleCount;
    public bool IsLive;
    public bool IsRedundant;
    public bool IsEncoded;

    public readonly long Offset => (long)FirstGranule * Limits.GranuleBytes;

    public readonly long Bytes => (long)GranuleCount * Limits.GranuleBytes;
}

/// <summary>Bytes of one segment by what they hold.</summary>
internal readonly record struct SegmentFigures(long UsedBytes, long LiveBytes, long RedundantBytes, long LiveRecords)
{
    /// <summary>Bytes that nobody would miss.</summary>
    public long WorthlessBytes => UsedBytes - LiveBytes + RedundantBytes;
}

/// <summary>
/// One segment file and the state of its records. Only the one writer that took it from the <see cref="SegmentSet"/> appends, so records
/// lie one after another without gaps; everything else may be called from any thread. <see cref="File"/> may be used by its writer, and by
/// whoever entered <see cref="Uses"/>.
/// </summary>
internal sealed class Segment(int number, IBlockFile file)
{
    private readonly Lock _lock = new();
    private readonly List<RecordSlot> _slots = [];
    private readonly List<long> _removed = [];
    private RecordList? _list = new();
    private long _usedBytes;
    private long _liveBytes;
    private long _redundantBytes;
    private long _liveRecords;
    private long _unsyncedBytes;
    private volatile bool _isClosed;
    private volatile bool _isSuspect;

    public int Number { get; } = number;

    public IBlockFile File { get; } = file;

    public UseGate Uses { get; } = new();

    /// <summary>Where the next record goes.</summary>
    public long Tail { get; private set; } = Limits.GranuleBytes;

    public long Room => File.Length - Tail;

    /// <summary>Whether nothing will be appended any more.</summary>
    public bool IsClosed => _isClosed;

    /// <summary>Whether a sync failed, so that whoever has the segment should close it.</summary>
    public bool IsSuspect => _isSuspect;

    /// <summary>Whether the checkpoint on disk lists everything this segment will ever hold. Maintenance only.</summary>
    public bool IsListed { get; private set; }

    /// <summary>Bytes written since the last successful sync began.</summary>
    public long UnsyncedBytes => Volatile.Read(ref _unsyncedBytes);

    public SegmentFigures Figures
    {
        get
        {
            lock (_lock)
            {
                return new SegmentFigures(_usedBytes, _liveBytes, _redundantBytes, _liveRecords);
            }
        }
    }

    /// <summary>Nothing is appended any more. Called by whoever has the segment to itself.</summary>
    public void Close() => _isClosed = true;

    /// <summary>A record was written at the tail.</summary>
    public void Commit(long bytes, long sequence, ReadOnlySpan<byte> prefix)
    {
        lock (_lock)
        {
            AddSlot_NeedsLock(Tail, bytes, sequence, isLive: true, RecordHeader.IsEncoded(prefix));
            _list!.Add(Tail, prefix);
            Tail += bytes;
        }

        Interlocked.Add(ref _unsyncedBytes, bytes);
    }

    /// <summary>A record was found at the start; <paramref name="isRemoved"/> when the log says that it must not come back.</summary>
    public void Restore(long offset, long bytes, long sequence, bool isLive, bool isRemoved, ReadOnlySpan<byte> prefix)
    {
        lock (_lock)
        {
            AddSlot_NeedsLock(offset, bytes, sequence, isLive, RecordHeader.IsEncoded(prefix));
            if (isLive)
            {
                _list?.Add(offset, prefix);
            }

            if (isRemoved)
            {
                _removed.Add(sequence);
            }

            Tail = offset + bytes;
        }
    }

    /// <summary>All records before an offset are known; what was not restored is dead.</summary>
    public void SkipTo(long offset)
    {
        lock (_lock)
        {
            Tail = offset;
            _usedBytes = offset - Limits.GranuleBytes;
        }
    }

    /// <summary>Entries of the list in memory, when there is one; live and dead.</summary>
    public bool TryCopyEntries(out byte[] entries)
    {
        lock (_lock)
        {
            entries = _list?.Entries.ToArray() ?? [];
            return _list is not null;
        }
    }

    public int RemovedCount
    {
        get
        {
            lock (_lock)
            {
                return _removed.Count;
            }
        }
    }

    /// <summary>Forgets what was restored, to begin again.</summary>
    public void ClearRestored()
    {
        lock (_lock)
        {
            _slots.Clear();
            _removed.Clear();
            _list = new RecordList();
            _usedBytes = _liveBytes = _redundantBytes = _liveRecords = 0;
            Tail = Limits.GranuleBytes;
        }
    }

    /// <summary>Keeps a removal of a record that is no longer listed, for the case that its header is read again one day.</summary>
    public void AddRemoved(long sequence)
    {
        lock (_lock)
        {
            _removed.Add(sequence);
        }
    }

    /// <summary>Bytes may not be on the device yet: a header written again in place, or what an earlier process wrote.</summary>
    public void NoteUnsynced(long bytes) => Interlocked.Add(ref _unsyncedBytes, bytes);

    /// <summary>The live record at an offset.</summary>
    public bool TryFind(long offset, out RecordSlot slot)
    {
        lock (_lock)
        {
            ref var found = ref Find_NeedsLock(offset);
            var isLive = !Unsafe.IsNullRef(ref found) && found.IsLive;
            slot = isLive ? found : default;
            return isLive;
        }
    }

    /// <summary>
    /// The record is dead. With <paramref name="isRemoved"/> it must not come back from any copy, and its sequence is kept for the log;
    /// without, the same record lives on elsewhere. False when it was dead already.
    /// </summary>
    public bool TryKill(long offset, bool isRemoved, out RecordSlot slot)
    {
        lock (_lock)
        {
            ref var found = ref Find_NeedsLock(offset);
            if (Unsafe.IsNullRef(ref found) || !found.IsLive)
            {
                slot = default;
                return false;
            }

            slot = found;
            _liveBytes -= found.Bytes;
            _redundantBytes -= found.IsRedundant ? found.Bytes : 0;
            _liveRecords--;
            found.IsLive = found.IsRedundant = false;
            if (isRemoved)
            {
                _removed.Add(found.Sequence);
            }

            return true;
        }
    }

    public void MarkRedundant(long offset, bool isRedundant)
    {
        lock (_lock)
        {
            ref var found = ref Find_NeedsLock(offset);
            if (!Unsafe.IsNullRef(ref found) && found.IsLive && found.IsRedundant != isRedundant)
            {
                found.IsRedundant = isRedundant;
                _redundantBytes += isRedundant ? found.Bytes : -found.Bytes;
            }
        }
    }

    /// <summary>Removals that the log must know as long as this segment's file exists.</summary>
    public void CopyRemovedTo(List<RemovalEntry> entries)
    {
        lock (_lock)
        {
            foreach (var sequence in _removed)
            {
                entries.Add(new RemovalEntry(sequence, Number));
            }
        }
    }

    /// <summary>Live records in the order of their offsets.</summary>
    public RecordSlot[] LiveSlots()
    {
        lock (_lock)
        {
            return [.. _slots.Where(slot => slot.IsLive)];
        }
    }

    /// <summary>The checkpoint of this moment, or null when one that says the same or better is on disk.</summary>
    public byte[]? CreateList(Guid store)
    {
        lock (_lock)
        {
            if (_list is null)
            {
                return null;
            }

            var live = new RecordList();
            var reader = new RecordList.Reader(_list.Entries);
            while (reader.TryNext(out var offset, out var prefix))
            {
                if (Find_NeedsLock(offset).IsLive)
                {
                    live.Add(offset, prefix);
                }
            }

            return live.ToFile(store, Number, IsClosed, Tail);
        }
    }

    /// <summary>The checkpoint of the closed segment is on disk: memory need not hold it too.</summary>
    public void MarkListed()
    {
        lock (_lock)
        {
            IsListed = true;
            _list = null;
        }
    }

    /// <summary>Forces written bytes to the device.</summary>
    public bool TrySync()
    {
        var bytes = Interlocked.Exchange(ref _unsyncedBytes, 0);
        if (bytes == 0)
        {
            return true;
        }

        if (!Uses.TryEnter())
        {
            return true;
        }

        var status = File.Sync();
        Uses.Leave();
        if (status != FileStatus.Ok)
        {
            // The device may have dropped what it could not write, and say so only once: nothing more goes here.
            Interlocked.Add(ref _unsyncedBytes, bytes);
            _isSuspect = true;
        }

        return status == FileStatus.Ok;
    }

    private void AddSlot_NeedsLock(long offset, long bytes, long sequence, bool isLive, bool isEncoded)
    {
        _slots.Add(new RecordSlot
        {
            Sequence = sequence,
            FirstGranule = (uint)(offset / Limits.GranuleBytes),
            GranuleCount = (uint)(bytes / Limits.GranuleBytes),
            IsLive = isLive,
            IsEncoded = isEncoded,
        });
        _usedBytes += bytes;
        _liveBytes += isLive ? bytes : 0;
        _liveRecords += isLive ? 1 : 0;
    }

    /// <summary>The slot of the record that begins at an offset, or a null reference.</summary>
    private ref RecordSlot Find_NeedsLock(long offset)
    {
        var slots = CollectionsMarshal.AsSpan(_slots);
        int low = 0, high = slots.Length - 1;
        while (low <= high)
        {
            var middle = (low + high) >>> 1;
            var found = slots[middle].Offset;
            if (found == offset)
            {
                return ref slots[middle];
            }

            (low, high) = found < offset ? (middle + 1, high) : (low, middle - 1);
        }

        return ref Unsafe.NullRef<RecordSlot>();
    }
}
