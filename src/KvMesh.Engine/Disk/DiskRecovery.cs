using KvMesh.Protocol;
using KvMesh.Protocol.Arena;
using KvMesh.Protocol.Keys;

namespace KvMesh.Engine.Disk;

/// <summary>
/// Finds out at the start what is on disk. Removals first; then per segment its list, and the headers behind what the list covers; then,
/// of several records of one key, the latest written. Nothing is deleted but what this program left unfinished. One thread.
/// </summary>
internal sealed class DiskRecovery : IDisposable
{
    private readonly DiskContext _context;
    private readonly SegmentSet _segments;
    private readonly HeaderWindow _window = new();
    private readonly ExtentCheck _check = new();
    private readonly HashSet<long> _removed = [];
    private readonly List<RemovalEntry> _entries = [];
    private readonly List<string> _oldLogs = [];
    private readonly HashSet<string> _names;
    private bool _areRemovalsKnown = true;
    private int _lastNumber;
    private int _lastLog;
    private long _lastSequence;

    private DiskRecovery(DiskContext context, SegmentSet segments, IEnumerable<string> names)
    {
        _context = context;
        _segments = segments;
        _names = [.. names];
    }

    /// <summary>Fills the set and begins the log. No segment is open for appends afterwards.</summary>
    /// <exception cref="IOException">The folder cannot be listed: nothing could be told from nothing.</exception>
    public static RemovalLog Run(DiskContext context, SegmentSet segments, RecoveredRecordHandler onRecovered)
    {
        if (context.Files.List(out var names) != FileStatus.Ok)
        {
            throw new IOException($"Engine:Disk:Directory '{context.Options.Directory}' cannot be listed.");
        }

        using var recovery = new DiskRecovery(context, segments, names);
        return recovery.Run(onRecovered);
    }

    public void Dispose()
    {
        _window.Dispose();
        _check.Dispose();
    }

    private RemovalLog Run(RecoveredRecordHandler onRecovered)
    {
        DeleteUnfinished();
        ReadRemovals();
        foreach (var number in NumbersOf(DiskFileNames.TryParseSegment))
        {
            RecoverSegment(number);
        }

        if (!_areRemovalsKnown && _segments.Count > 0)
        {
            DiskLog.RemovalsUnknown(_context.Logger);
        }

        DeleteOrphanedLists();
        KeepLatestOfEachKey();
        foreach (var segment in _segments.All.OrderBy(segment => segment.Number))
        {
            Report(segment, onRecovered);
        }

        _segments.BeginAfter(_lastNumber, _lastSequence);
        return BeginLog();
    }

    private void DeleteUnfinished()
    {
        foreach (var name in _names.Where(name => name.EndsWith(DiskFileNames.Unfinished, StringComparison.Ordinal) && IsOurs(name)))
        {
            _context.Files.Delete(name);
        }
    }

    private void ReadRemovals()
    {
        foreach (var number in NumbersOf(DiskFileNames.TryParseLog))
        {
            var name = DiskFileNames.Log(number);
            _lastLog = Math.Max(_lastLog, number);
            if (RemovalLog.TryRead(_context, name, number, _entries))
            {
                _oldLogs.Add(name);
            }
            else
            {
                _areRemovalsKnown = false;
                SetAside(name, "it is damaged or of another data directory");
            }
        }

        // A folder with segments and without a log has lost it.
        _areRemovalsKnown &= _lastLog > 0;
        foreach (var entry in _entries)
        {
            _removed.Add(entry.Sequence);
            _lastNumber = Math.Max(_lastNumber, entry.Segment);
            _lastSequence = Math.Max(_lastSequence, entry.Sequence);
        }
    }

    private void RecoverSegment(int number)
    {
        var name = DiskFileNames.Segment(number);
        _lastNumber = Math.Max(_lastNumber, number);
        if (!TryOpenSegment(name, number, out var file))
        {
            return;
        }

        var segment = new Segment(number, file!);
        segment.Close();
        if (!TryRestoreFromList(segment, out var isComplete))
        {
            segment.ClearRestored();
        }

        if (isComplete)
        {
            segment.MarkListed();
        }
        else
        {
            RestoreFromHeaders(segment);
            segment.NoteUnsynced(segment.Tail);
        }

        _segments.Adopt(segment);
    }

    private bool TryOpenSegment(string name, int number, out IBlockFile? file)
    {
        var status = _context.Files.Open(name, direct: true, out file);
        if (status != FileStatus.Ok)
        {
            SetAside(name, $"it cannot be opened ({status})");
            return false;
        }

        var refusal = "it cannot be read";
        if (file!.Length >= Limits.GranuleBytes)
        {
            _window.Open(file);
            refusal = _window.TryRead(0, out var granule) ? SegmentHeader.Refusal(granule, _context.Store, number) : refusal;
        }

        if (refusal is null)
        {
            return true;
        }

        file.Dispose();
        file = null;
        SetAside(name, refusal);
        return false;
    }

    /// <summary>False when there is no list that fits; then the headers tell.</summary>
    private bool TryRestoreFromList(Segment segment, out bool isComplete)
    {
        isComplete = false;
        if (!_names.Contains(DiskFileNames.List(segment.Number))
            || DiskFiles.ReadAll(_context.Files, DiskFileNames.List(segment.Number), out var content) != FileStatus.Ok
            || !RecordList.TryOpen(content, _context.Store, segment.Number, out var header, out var entries)
            || header.CoveredBytes < Limits.GranuleBytes || header.CoveredBytes > segment.File.Length)
        {
            return false;
        }

        var reader = new RecordList.Reader(entries);
        while (reader.TryNext(out var offset, out var prefix))
        {
            if (!RecordHeader.TryReadPrefix(prefix, out var fields, out var record) || offset < segment.Tail
                || !Granules.IsAligned(offset) || offset + fields.RecordBytes > header.CoveredBytes)
            {
                return false;
            }

            Restore(segment, offset, fields, record, prefix, isWhole: true);
        }

        segment.SkipTo(header.CoveredBytes);
        isComplete = header.IsClosed == 1;
        return true;
    }

    /// <summary>Follows the lengths of the headers up to the first granule that is none: whatever is behind was never acknowledged.</summary>
    private void RestoreFromHeaders(Segment segment)
    {
        _window.Open(segment.File);
        while (_window.TryRead(segment.Tail, out var granule))
        {
            var offset = segment.Tail;
            if (!RecordHeader.TryRead(granule, _context.Store, segment.Number, offset, out var fields, out var record)
                || offset + fields.RecordBytes > segment.File.Length)
            {
                if (granule.ContainsAnyExcept((byte)0))
                {
                    DiskCounters.Increment(ref _context.Counters.TornTails);
                    DiskLog.TornTail(_context.Logger, DiskFileNames.Segment(segment.Number), offset);
                }

                return;
            }

            var isWhole = fields.Kind == RecordKind.Live
                && (fields.RecordBytes == Limits.GranuleBytes || _check.IsWhole(segment.File, offset + Limits.GranuleBytes, record));
            Restore(segment, offset, fields, record, granule[..RecordHeader.PrefixBytes(fields)], isWhole);
        }
    }

    private void Restore(
        Segment segment, long offset, in RecordFields fields, in DiskRecord record, ReadOnlySpan<byte> prefix, bool isWhole)
    {
        _lastSequence = Math.Max(_lastSequence, fields.Sequence);

        // Without all removals an opaque record may be an old value of its key; content is the same whenever it was written.
        var isRemoved = _removed.Contains(fields.Sequence) || (!_areRemovalsKnown && !record.Flags.HasFlag(BlockFlags.Content));
        if (!isWhole)
        {
            DiskCounters.Increment(ref _context.Counters.CorruptRecords);
        }

        segment.Restore(offset, fields.RecordBytes, fields.Sequence, isWhole && !isRemoved, isRemoved, prefix);
    }

    private void DeleteOrphanedLists()
    {
        foreach (var number in NumbersOf(DiskFileNames.TryParseList))
        {
            _lastNumber = Math.Max(_lastNumber, number);
            if (!_names.Contains(DiskFileNames.Segment(number)))
            {
                _context.Files.Delete(DiskFileNames.List(number));
            }
        }
    }

    private void KeepLatestOfEachKey()
    {
        var latest = new Dictionary<KeyDigest, (Segment Segment, long Offset, long Sequence)>();
        foreach (var segment in _segments.All.OrderBy(segment => segment.Number))
        {
            var reader = new RecordList.Reader(ListOf(segment));
            while (reader.TryNext(out var offset, out var prefix))
            {
                if (!segment.TryFind(offset, out var slot) || !RecordHeader.TryReadPrefix(prefix, out var fields, out _))
                {
                    continue;
                }

                if (!latest.TryAdd(fields.Digest, (segment, offset, slot.Sequence)))
                {
                    Prefer(latest, fields.Digest, segment, slot);
                }
            }
        }
    }

    /// <summary>The higher sequence wins and the other is removed for good. Equal ones are copies of one record: one of them is enough.</summary>
    private void Prefer(
        Dictionary<KeyDigest, (Segment Segment, long Offset, long Sequence)> latest, KeyDigest digest, Segment segment, in RecordSlot slot)
    {
        var (otherSegment, otherOffset, otherSequence) = latest[digest];
        if (slot.Sequence > otherSequence)
        {
            otherSegment.TryKill(otherOffset, isRemoved: true, out _);
            latest[digest] = (segment, slot.Offset, slot.Sequence);
        }
        else if (slot.Sequence < otherSequence)
        {
            segment.TryKill(slot.Offset, isRemoved: true, out _);
        }
        else
        {
            segment.TryKill(slot.Offset, isRemoved: false, out _);
            _segments.AddDuplicate(slot.Sequence, segment);
        }
    }

    private void Report(Segment segment, RecoveredRecordHandler onRecovered)
    {
        var reader = new RecordList.Reader(ListOf(segment));
        while (reader.TryNext(out var offset, out var prefix))
        {
            if (!segment.TryFind(offset, out _) || !RecordHeader.TryReadPrefix(prefix, out _, out var record))
            {
                continue;
            }

            if (onRecovered(record, new DiskLocation(segment.Number, offset)))
            {
                DiskCounters.Increment(ref _context.Counters.RecoveredRecords);
            }
            else
            {
                segment.TryKill(offset, isRemoved: true, out _);
            }
        }
    }

    /// <summary>The list from memory for a segment whose headers were read, else from its file, which the page cache still holds.</summary>
    private ReadOnlySpan<byte> ListOf(Segment segment)
    {
        if (segment.TryCopyEntries(out var copy))
        {
            return copy;
        }

        return DiskFiles.ReadAll(_context.Files, DiskFileNames.List(segment.Number), out var content) == FileStatus.Ok
            && RecordList.TryOpen(content, _context.Store, segment.Number, out _, out var entries)
                ? entries
                : default;
    }

    /// <summary>One new file takes all that still matters; only then do the old ones go.</summary>
    private RemovalLog BeginLog()
    {
        foreach (var entry in _entries.Where(entry => _segments.Find(entry.Segment) is not null))
        {
            _segments.Find(entry.Segment)!.AddRemoved(entry.Sequence);
        }

        var needed = new List<RemovalEntry>();
        foreach (var segment in _segments.All)
        {
            segment.CopyRemovedTo(needed);
        }

        var log = RemovalLog.Begin(_context, _lastLog, [.. needed.Distinct()], out var isComplete);
        if (isComplete)
        {
            _oldLogs.ForEach(name => _context.Files.Delete(name));
        }

        return log;
    }

    /// <summary>Renames a file that is not ours or not whole, so that somebody can look at it. It is never read or deleted again.</summary>
    private void SetAside(string name, string reason)
    {
        var aside = name + ".aside";
        for (var i = 2; _names.Contains(aside); i++)
        {
            aside = $"{name}.aside-{i}";
        }

        _context.Files.Rename(name, aside);
        _names.Add(aside);
        _names.Remove(name);
        DiskCounters.Increment(ref _context.Counters.ForeignFiles);
        DiskLog.SetAside(_context.Logger, name, aside, reason);
    }

    private static bool IsOurs(string unfinished)
    {
        var name = unfinished[..^DiskFileNames.Unfinished.Length];
        return DiskFileNames.TryParseSegment(name, out _) || DiskFileNames.TryParseList(name, out _) || DiskFileNames.TryParseLog(name, out _);
    }

    private List<int> NumbersOf(NameParser parse) =>
        [.. _names.Select(name => parse(name, out var number) ? number : 0).Where(number => number > 0).Distinct().Order()];

    private delegate bool NameParser(string name, out int number);
}
