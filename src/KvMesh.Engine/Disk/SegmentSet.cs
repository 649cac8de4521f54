using System.Collections.Concurrent;
using KvMesh.Protocol;

namespace KvMesh.Engine.Disk;

/// <summary>
/// All segments: which are being filled, which may be, and which are out of use. An appender takes a segment for
/// itself, writes without any lock, and gives it back; so at most <see cref="MaxOpen"/> are being filled at a time, each without gaps.
/// </summary>
internal sealed class SegmentSet : IDisposable
{
    public const int MaxOpen = 2;
    private readonly DiskContext _context;
    private readonly DiskSpace _space;
    private readonly Lock _lock = new();
    private readonly SemaphoreSlim _appenders = new(MaxOpen, MaxOpen);
    private readonly ConcurrentDictionary<int, Segment> _byNumber = new();
    private readonly Stack<Segment> _open = new();
    private readonly List<Segment> _retired = [];
    private readonly Dictionary<long, List<Segment>> _duplicates = [];
    private readonly long _segmentBytes;
    private readonly Backoff _appendPause;
    private readonly Backoff _listPause;
    private Segment? _spare;
    private int _lastNumber;
    private long _lastSequence;
    private volatile bool _isRoomWanted;

    /// <summary>At the start as well: nobody knows what an earlier process left unsynced.</summary>
    private volatile bool _isDirectoryDirty = true;

    public SegmentSet(DiskContext context)
    {
        _context = context;
        _segmentBytes = context.Options.EffectiveSegmentBytes;
        _space = new DiskSpace(context);
        _appendPause = new Backoff(context.Time);
        _listPause = new Backoff(context.Time);
    }

    public IEnumerable<Segment> All => _byNumber.Values;

    public int Count => _byNumber.Count;

    public long FileBytes => _space.UsedBytes;

    /// <summary>What files may take now: the capacity, or less for a while after the file system was full.</summary>
    public long LimitBytes => _space.LimitBytes;

    /// <summary>Largest record that fits a segment.</summary>
    public long MaxRecordBytes => _segmentBytes - Limits.GranuleBytes;

    public long NextSequence(int count = 1) => Interlocked.Add(ref _lastSequence, count) - count + 1;

    public Segment? Find(int number) => _byNumber.GetValueOrDefault(number);

    /// <summary>A segment found at the start. Not while appends run.</summary>
    public void Adopt(Segment segment)
    {
        _byNumber[segment.Number] = segment;
        _space.Add(segment.File.Length);
    }

    /// <summary>A crash left two copies of one record; this one is given up, but a later start may read it again. Not while appends run.</summary>
    public void AddDuplicate(long sequence, Segment segment)
    {
        if (!_duplicates.TryGetValue(sequence, out var holders))
        {
            _duplicates[sequence] = holders = [];
        }

        holders.Add(segment);
    }

    /// <summary>The record is dead and must not come back, from any segment that holds a copy.</summary>
    public bool TryRemove(Segment segment, long offset, out RecordSlot slot)
    {
        if (!segment.TryKill(offset, isRemoved: true, out slot))
        {
            return false;
        }

        foreach (var holder in _duplicates.GetValueOrDefault(slot.Sequence) ?? [])
        {
            holder.AddRemoved(slot.Sequence);
        }

        return true;
    }

    /// <summary>Numbers up to these were used before and are not used again. Not while appends run.</summary>
    public void BeginAfter(int number, long sequence)
    {
        _lastNumber = Math.Max(_lastNumber, number);
        _lastSequence = Math.Max(_lastSequence, sequence);
    }

    /// <summary>
    /// Takes a segment with room for a record, waiting for at most the appends in progress. Null: there is none, and maintenance was
    /// told. The taker calls <see cref="GiveBack"/> or <see cref="GiveUp"/>. <paramref name="isReclaim"/> may use the space kept for copies.
    /// </summary>
    public Segment? Take(long bytes, bool isReclaim)
    {
        if (_appendPause.IsActive)
        {
            return null;
        }

        _appenders.Wait();
        var segment = TakeOpen(bytes) ?? Create(isReclaim ? LimitBytes : LimitBytes - _segmentBytes);
        if (segment is null)
        {
            _appenders.Release();
            _isRoomWanted = true;
            _context.Wake.Set();
        }

        return segment;
    }

    public void GiveBack(Segment segment)
    {
        _appendPause.End();
        lock (_lock)
        {
            if (segment.IsSuspect)
            {
                segment.Close();
            }
            else
            {
                _open.Push(segment);
            }
        }

        _appenders.Release();
        var needsSpare = Volatile.Read(ref _spare) is null && segment.Room < _segmentBytes / 2;
        var needsSync = _context.Options.SyncBytes != 0 && segment.UnsyncedBytes >= _context.Options.SyncBytes;
        if (needsSpare || needsSync)
        {
            _context.Wake.Set();
        }
    }

    /// <summary>Gives back a segment that refused a write. Nothing more goes there, and nothing anywhere for a moment.</summary>
    public void GiveUp(Segment segment, FileStatus status)
    {
        segment.Close();
        NoteFailure(status);
        _appenders.Release();
        _context.Wake.Set();
    }

    /// <summary>Sets a spare segment ready before it is needed. True when there is none and no room for one either. Maintenance only.</summary>
    public bool NeedsReclaim()
    {
        var limit = LimitBytes;
        if (FileBytes > limit)
        {
            return true;
        }

        lock (_lock)
        {
            if (_spare is not null || (!_isRoomWanted && _open.Any(segment => segment.Room >= _segmentBytes / 2)))
            {
                return false;
            }
        }

        if (FileBytes + _segmentBytes > limit - _segmentBytes)
        {
            return true;
        }

        if (!_appendPause.IsActive && Create(limit - _segmentBytes) is { } spare)
        {
            lock (_lock)
            {
                _spare = spare;
                _isRoomWanted = false;
            }
        }

        return false;
    }

    /// <summary>Takes a closed segment out of use. Reads in progress end; then the file goes. Maintenance only.</summary>
    public void Retire(Segment segment)
    {
        _byNumber.TryRemove(segment.Number, out _);
        segment.Uses.Close();
        _retired.Add(segment);
        DeleteRetired();
    }

    /// <summary>Deletes the files of retired segments that nobody reads any more. Maintenance only.</summary>
    public void DeleteRetired() => _retired.RemoveAll(TryDelete);

    /// <summary>Whether files of segments out of use are still there. Maintenance only.</summary>
    public bool HasRetired => _retired.Count > 0;

    /// <summary>Closes the segments that were being filled. Not while appends run.</summary>
    public void CloseAll()
    {
        lock (_lock)
        {
            foreach (var segment in _byNumber.Values)
            {
                segment.Close();
            }

            _open.Clear();
            _spare = null;
        }
    }

    /// <summary>Writes down what a segment holds. Syncs it first: a list never promises what the device does not have.</summary>
    public bool TryWriteList(Segment segment)
    {
        var isClosed = segment.IsClosed;
        var list = segment.CreateList(_context.Store);
        if (list is null)
        {
            return true;
        }

        var status = segment.TrySync() ? DiskFiles.Replace(_context.Files, DiskFileNames.List(segment.Number), list) : FileStatus.Failed;
        _isDirectoryDirty = true;
        if (status != FileStatus.Ok)
        {
            DiskCounters.Increment(ref _context.Counters.WriteErrors);
            _listPause.Extend();
            return false;
        }

        _listPause.End();
        if (isClosed)
        {
            segment.MarkListed();
            Trim(segment);
        }

        return true;
    }

    /// <summary>Whether lists were refused a moment ago, and it is too early to try again.</summary>
    public bool AreListsPaused => _listPause.IsActive;

    /// <summary>Forces every segment and the folder to the device.</summary>
    public bool TrySync()
    {
        var isOk = true;
        foreach (var segment in _byNumber.Values)
        {
            isOk &= segment.TrySync();
        }

        if (_isDirectoryDirty)
        {
            _isDirectoryDirty = false;
            var isDirectoryOk = _context.Files.SyncDirectory() == FileStatus.Ok;
            _isDirectoryDirty |= !isDirectoryOk;
            isOk &= isDirectoryOk;
        }

        return isOk;
    }

    public bool IsDirty => _isDirectoryDirty || _byNumber.Values.Any(segment => segment.UnsyncedBytes > 0);

    public void Dispose()
    {
        foreach (var segment in _byNumber.Values.Concat(_retired))
        {
            segment.File.Dispose();
        }

        _appenders.Dispose();
    }

    private Segment? TakeOpen(long bytes)
    {
        lock (_lock)
        {
            while (_open.TryPop(out var segment))
            {
                if (segment.Room >= bytes && !segment.IsSuspect)
                {
                    return segment;
                }

                segment.Close();
                _context.Wake.Set();
            }

            var spare = _spare;
            _spare = null;
            return spare;
        }
    }

    /// <summary>Makes a segment if its file keeps all files within <paramref name="limit"/>.</summary>
    private Segment? Create(long limit)
    {
        if (!_space.TryTake(_segmentBytes, limit))
        {
            return null;
        }

        var number = Interlocked.Increment(ref _lastNumber);
        var status = SegmentFiles.WriteNew(_context, number, _segmentBytes, out var file);
        if (status != FileStatus.Ok)
        {
            _space.Add(-_segmentBytes);
            NoteFailure(status);
            return null;
        }

        var segment = new Segment(number, file!);
        _byNumber[number] = segment;
        _isDirectoryDirty = true;
        return segment;
    }

    /// <summary>Gives the empty tail of a closed segment back to the file system.</summary>
    private void Trim(Segment segment)
    {
        var before = segment.File.Length;
        if (segment.Tail < before && segment.File.Truncate(segment.Tail) == FileStatus.Ok)
        {
            _space.Add(segment.File.Length - before);
        }
    }

    private bool TryDelete(Segment segment)
    {
        if (!SegmentFiles.TryDelete(_context, segment))
        {
            return false;
        }

        _space.Add(-segment.File.Length);
        _isDirectoryDirty = true;
        return true;
    }

    private void NoteFailure(FileStatus status)
    {
        DiskCounters.Increment(ref _context.Counters.WriteErrors);
        _appendPause.Extend();
        if (status == FileStatus.NoSpace)
        {
            _space.NoteFull();
        }
    }
}
