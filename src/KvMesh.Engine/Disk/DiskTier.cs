using System.Collections.Concurrent;
using KvMesh.Protocol;
using KvMesh.Protocol.Keys;
using Microsoft.Extensions.Logging;

namespace KvMesh.Engine.Disk;

/// <summary>
/// Blocks on disk: the door of this folder. It knows nothing of arena or index: it takes spans and gives locations. Every member may
/// be called from any thread. No member throws for what a disk may do: an error, a full or a
/// foreign file system is a smaller cache and a counter.
/// </summary>
internal sealed class DiskTier : IDisposable
{
    private static readonly TimeSpan IdleTurn = TimeSpan.FromSeconds(1);
    private readonly DiskContext _context;
    private readonly SegmentSet _segments;
    private readonly RemovalLog _removals;
    private readonly RecordWriter _writer;
    private readonly RecordReader _reader;
    private readonly Reclaimer _reclaimer;

    /// <summary>
    /// One maintenance step at a time. Held across I/O and across calls to the observer, on purpose: no append, read or release takes it.
    /// </summary>
    private readonly Lock _step = new();

    /// <summary>One sync at a time, so that a sync that finds nothing to do knows that it is done. Held across I/O; taken after _step.</summary>
    private readonly Lock _sync = new();

    /// <summary>Numbers of records that are being written and are dead already.</summary>
    private readonly ConcurrentDictionary<long, byte> _disowned = new();

    private Thread? _thread;
    private ITimer? _timer;
    private volatile bool _isStopping;
    private long _lastSync;

    private DiskTier(DiskContext context, SegmentSet segments, RemovalLog removals, IDiskReclaimObserver observer)
    {
        _context = context;
        _segments = segments;
        _removals = removals;
        _writer = new RecordWriter(context, segments, removals);
        _reader = new RecordReader(context, segments);
        _reclaimer = new Reclaimer(context, segments, _reader, _writer, removals, observer);
        _lastSync = context.Time.GetTimestamp();
    }

    /// <summary>
    /// Opens the folder: tells <paramref name="onRecovered"/> of each live record before it returns, and starts the maintenance thread.
    /// </summary>
    /// <param name="options">Options that <see cref="DiskOptions.Validate"/> has nothing against.</param>
    /// <param name="store">Names the data directory whose secret made the digests; files of another one are set aside.</param>
    /// <param name="files">The folder.</param>
    /// <param name="observer">Decides over records whose segment is reclaimed; not called before Open returns.</param>
    /// <param name="onRecovered">Told of each live record, one per key.</param>
    /// <exception cref="ArgumentException">The options contradict themselves.</exception>
    /// <exception cref="IOException">The folder cannot be listed.</exception>
    public static DiskTier Open(
        DiskOptions options, Guid store, IBlockFileSystem files, IDiskReclaimObserver observer, RecoveredRecordHandler onRecovered,
        TimeProvider time, ILogger logger)
    {
        if (options.Validate().FirstOrDefault() is { } problem)
        {
            throw new ArgumentException(problem, nameof(options));
        }

        var began = time.GetTimestamp();
        var context = new DiskContext(options, store, files, time, logger, new DiskCounters());
        var segments = new SegmentSet(context);
        var removals = DiskRecovery.Run(context, segments, onRecovered);
        var tier = new DiskTier(context, segments, removals, observer);
        var elapsed = time.GetElapsedTime(began);
        DiskLog.Opened(logger, options.Directory, segments.Count, context.Counters.RecoveredRecords, elapsed, files.UsesDirectIo);
        if (options.RunsMaintenance)
        {
            tier.StartMaintenance();
        }

        return tier;
    }

    /// <summary>
    /// Writes a record. <paramref name="extent"/> begins on a multiple of 4,096 in memory, is at least
    /// <see cref="DiskRecord.ExtentBytes"/> rounded up to 4,096 long, and does not change during the call; it is written from where it is.
    /// False: no room, too large, or an error; nothing was kept.
    /// </summary>
    public bool TryAppend(in DiskRecord record, ReadOnlySpan<byte> extent, out DiskLocation location) =>
        _writer.TryAppend(record, extent, out location);

    /// <summary>Makes a batch for one thread. Dispose it before the tier.</summary>
    public DiskBatch CreateBatch() => new(_context.Options.EffectiveSegmentBytes);

    /// <summary>
    /// Writes all records of a batch with one I/O and empties it. <paramref name="locations"/> has room for its count and gets them in
    /// the order of adding. False: none was kept.
    /// </summary>
    public bool TryAppend(DiskBatch batch, Span<DiskLocation> locations) => _writer.TryAppend(batch, locations);

    /// <summary>
    /// Reads a whole extent into <paramref name="extent"/>, which begins on a multiple of 4,096 and has room for
    /// <see cref="DiskRecord.ExtentBytes"/> rounded up to 4,096. The header is checked against <paramref name="expected"/>; the caller
    /// verifies table and payload. False: the record is gone, damaged, unreadable, or of a block that is stored encoded.
    /// </summary>
    public bool TryRead(DiskLocation location, KeyDigest expected, Span<byte> extent) =>
        _reader.TryRead(location, expected, extent);

    /// <summary>Whether a block is stored encoded there, and how much memory <see cref="TryReadEncoded"/> needs for it.</summary>
    public bool IsEncoded(DiskLocation location, out int extentBytes)
    {
        var slot = default(RecordSlot);
        var isEncoded = _segments.Find(location.Segment) is { } segment && segment.TryFind(location.Offset, out slot) && slot.IsEncoded;
        extentBytes = isEncoded ? (int)Math.Max(slot.Bytes - Limits.GranuleBytes, Limits.GranuleBytes) : 0;
        return isEncoded;
    }

    /// <summary>In which form a block is stored there: one read of a granule.</summary>
    public bool TryReadForm(DiskLocation location, KeyDigest expected, out StoredExtent stored) => _reader.TryReadForm(location, expected, out stored);

    /// <summary>As <see cref="TryRead"/>, of a block that is stored encoded: the caller verifies with what the header said, and decodes.</summary>
    public bool TryReadEncoded(DiskLocation location, KeyDigest expected, Span<byte> extent, out StoredExtent stored) =>
        _reader.TryReadEncoded(location, expected, extent, out stored);

    /// <summary>
    /// Reads part of an extent. Offset and length are multiples of 4,096, as is the address of <paramref name="destination"/>. Only the
    /// table proves these bytes: the header is not read again.
    /// </summary>
    public bool TryReadRange(DiskLocation location, long extentOffset, Span<byte> destination) =>
        _reader.TryReadRange(location, extentOffset, destination);

    /// <summary>
    /// The record is dead: removed, replaced or expired. A <paramref name="durable"/> release is on record before the call returns, so
    /// that the end of the process cannot bring the record back, and power loss cannot after the next sync; use it whenever an old
    /// value would be a wrong answer. Without it the record may come back after a crash. A location that is gone already is ignored.
    /// </summary>
    public void Release(DiskLocation location, bool durable)
    {
        var segment = _segments.Find(location.Segment);
        if (segment is null || !_segments.TryRemove(segment, location.Offset, out var slot))
        {
            return;
        }

        var entry = new RemovalEntry(slot.Sequence, location.Segment);
        if (!durable)
        {
            _removals.AppendLater(entry);
        }
        else if (!_removals.TryAppend(entry))
        {
            Bury(segment, slot);
        }
    }

    /// <summary>The number of a record that is about to be written: put it into the record, and call <see cref="EndWrite"/> when its place, if any, is known.</summary>
    public long BeginWrite() => _segments.NextSequence();

    /// <summary>Whether the record of that number, which is being written, is dead already.</summary>
    public bool IsDisowned(long sequence) => _disowned.ContainsKey(sequence);

    /// <summary>
    /// The record of that number, which is being written, is dead already: on record before the call returns, so that no crash brings it
    /// back, wherever it arrives. Its writer releases it all the same.
    /// </summary>
    public void Disown(long sequence)
    {
        _disowned[sequence] = default;
        _removals.TryAppend(new RemovalEntry(sequence, RemovalEntry.AnySegment));
    }

    /// <summary>The write is over: from here on a release tells the record's end.</summary>
    public void EndWrite(long sequence) => _disowned.TryRemove(sequence, out _);

    /// <summary>Says whether RAM holds a copy too: segments full of redundant records are reclaimed first.</summary>
    public void MarkRedundant(DiskLocation location, bool redundant) =>
        _segments.Find(location.Segment)?.MarkRedundant(location.Offset, redundant);

    /// <summary>
    /// Forces to the device whatever was written or released before the call. False: an error; the bytes may not survive power loss.
    /// </summary>
    public bool Sync()
    {
        lock (_sync)
        {
            _lastSync = _context.Time.GetTimestamp();
            var isOk = _removals.TryFlush();
            isOk &= _segments.TrySync();
            isOk &= _removals.TrySync();
            DiskCounters.Increment(ref _context.Counters.Syncs);
            if (!isOk)
            {
                DiskCounters.Increment(ref _context.Counters.SyncErrors);
            }

            return isOk;
        }
    }

    /// <summary>Syncs, and writes down what every segment holds so that the next start reads lists instead of headers.</summary>
    public bool Checkpoint()
    {
        lock (_step)
        {
            var isOk = Sync();
            foreach (var segment in _segments.All.Where(segment => !segment.IsListed).ToList())
            {
                isOk &= _segments.TryWriteList(segment);
            }

            return isOk & Sync();
        }
    }

    /// <summary>
    /// Does one bounded step of what is due: sync, lists of full segments, a spare segment, reclamation. True when more is due at once.
    /// The tier's own thread calls it; a simulation may instead. Not while holding a lock that the observer takes.
    /// </summary>
    public bool Maintain()
    {
        lock (_step)
        {
            SyncIfDue();
            var isMoreDue = ListOneSegment();
            _segments.DeleteRetired();
            RetireEmptySegments();
            RotateRemovals();
            isMoreDue |= Reclaim();
            return isMoreDue;
        }
    }

    /// <summary>Records that were dropped although the engine had said that they were promised to stay.</summary>
    public long BrokenPromises => Interlocked.Read(ref _context.Counters.BrokenPromises);

    public DiskSnapshot Snapshot()
    {
        long used = 0, live = 0, redundant = 0, records = 0, unsynced = 0;
        foreach (var segment in _segments.All)
        {
            var figures = segment.Figures;
            used += figures.UsedBytes;
            live += figures.LiveBytes;
            redundant += figures.RedundantBytes;
            records += figures.LiveRecords;
            unsynced += segment.UnsyncedBytes;
        }

        return _context.Counters.ToSnapshot() with
        {
            CapacityBytes = _segments.LimitBytes,
            FileBytes = _segments.FileBytes,
            UsedBytes = used,
            LiveBytes = live,
            DeadBytes = used - live,
            RedundantBytes = redundant,
            LiveRecords = records,
            Segments = _segments.Count,
            UnsyncedBytes = unsynced,
            UsesDirectIo = _context.Files.UsesDirectIo,
        };
    }

    /// <summary>Ends the maintenance thread, writes a checkpoint and closes all files. No other call may be in progress.</summary>
    public void Dispose()
    {
        _isStopping = true;
        _timer?.Dispose();
        _context.Wake.Set();
        _thread?.Join();
        _segments.CloseAll();
        Checkpoint();
        _reclaimer.Dispose();
        _removals.Dispose();
        _segments.Dispose();
        _context.Dispose();
    }

    private void StartMaintenance()
    {
        var turn = _context.Options.SyncInterval > TimeSpan.Zero ? _context.Options.SyncInterval : IdleTurn;
        _timer = _context.Time.CreateTimer(_ => _context.Wake.Set(), null, turn, turn);
        _thread = new Thread(RunMaintenance) { Name = "kvmesh disk", IsBackground = true };
        _thread.Start();
        _context.Wake.Set();
    }

    private void RunMaintenance()
    {
        try
        {
            while (!_isStopping)
            {
                _context.Wake.WaitOne();
                while (!_isStopping && Maintain())
                {
                }
            }
        }
        catch (Exception failure)
        {
            DiskLog.MaintenanceEnded(_context.Logger, failure);
        }
    }

    private void SyncIfDue()
    {
        var options = _context.Options;
        var isTime = options.SyncInterval > TimeSpan.Zero && _context.Time.GetElapsedTime(_lastSync) >= options.SyncInterval;
        var isMuch = options.SyncBytes != 0 && _segments.All.Sum(segment => segment.UnsyncedBytes) >= options.SyncBytes;
        if ((isTime || isMuch) && (_segments.IsDirty || _removals.IsDirty || _removals.HasPending) && !Sync())
        {
            DiskLog.SyncFailed(_context.Logger);
        }
    }

    /// <summary>Writes the list of one full segment. True when there is another.</summary>
    private bool ListOneSegment()
    {
        if (_segments.AreListsPaused)
        {
            return false;
        }

        var due = _segments.All.Where(segment => segment.IsClosed && !segment.IsListed).Take(2).ToList();
        return due.Count > 0 && _segments.TryWriteList(due[0]) && due.Count > 1;
    }

    private void RetireEmptySegments()
    {
        foreach (var segment in _segments.All.Where(segment => segment.IsClosed && segment.Figures.LiveRecords == 0).ToList())
        {
            if (!_reclaimer.IsEmptying(segment))
            {
                _segments.Retire(segment);
            }
        }
    }

    /// <summary>Only while no file of a removed segment is left: what is removed must stay known as long as its record can be read.</summary>
    private void RotateRemovals()
    {
        if (_segments.HasRetired || _segments.AreListsPaused || !_removals.IsWorthRotating(_segments.All.Sum(segment => (long)segment.RemovedCount)))
        {
            return;
        }

        lock (_sync)
        {
            _removals.Rotate(() =>
            {
                var needed = _disowned.Keys.Select(sequence => new RemovalEntry(sequence, RemovalEntry.AnySegment)).ToList();
                foreach (var segment in _segments.All)
                {
                    segment.CopyRemovedTo(needed);
                }

                return needed;
            });
        }
    }

    private bool Reclaim()
    {
        if (!_reclaimer.IsBusy)
        {
            if (!_segments.NeedsReclaim() || !_reclaimer.TryBegin(mayKeep: _segments.FileBytes <= _segments.LimitBytes))
            {
                return false;
            }
        }

        _reclaimer.Step();
        return true;
    }

    /// <summary>When a removal cannot be logged: the record's own header says so, at the price of an I/O.</summary>
    private void Bury(Segment segment, in RecordSlot slot)
    {
        if (!segment.Uses.TryEnter())
        {
            return;
        }

        var header = _context.Headers.Rent();
        if (_reader.TryReadHeader(segment, slot, header.Span, out _, out _))
        {
            RecordHeader.Bury(header.Span);
            if (segment.File.Write(slot.Offset, header.Span, default) != FileStatus.Ok)
            {
                DiskCounters.Increment(ref _context.Counters.WriteErrors);
            }

            segment.NoteUnsynced(header.Length);
        }

        _context.Headers.Return(header);
        segment.Uses.Leave();
    }
}
