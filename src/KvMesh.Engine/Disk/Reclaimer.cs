using KvMesh.Protocol.Arena;

namespace KvMesh.Engine.Disk;

/// <summary>
/// Empties segments as a whole, in bounded steps: of each live record the engine decides whether it is copied or goes. A segment whose
/// bytes nobody would miss comes first, else the oldest. One thread at a time.
/// </summary>
internal sealed class Reclaimer(
    DiskContext context, SegmentSet segments, RecordReader reader, RecordWriter writer, RemovalLog removals, IDiskReclaimObserver observer)
    : IDisposable
{
    /// <summary>One step copies about this much, a few tens of milliseconds of a disk's time.</summary>
    private const long StepBytes = 32L * 1024 * 1024;

    private const int StepRecords = 4096;
    private const int CopyBytes = 4 * 1024 * 1024;
    private AlignedBuffer? _buffer;
    private Segment? _source;
    private RecordSlot[] _slots = [];
    private byte[] _list = [];
    private int _listPosition;
    private int _next;
    private long _keepBytes;

    /// <summary>Whether a segment is half emptied.</summary>
    public bool IsBusy => _source is not null;

    public bool IsEmptying(Segment segment) => _source == segment;

    /// <summary>Chooses a segment to empty. False when none can go: all are being filled.</summary>
    public bool TryBegin(bool mayKeep)
    {
        _source = Choose();
        if (_source is null)
        {
            return false;
        }

        // At most half of a segment moves, so that each round frees more than it fills.
        _keepBytes = mayKeep ? _source.File.Length / 2 : 0;
        _slots = _source.LiveSlots();
        _list = ReadList(_source);
        _listPosition = _next = 0;
        return true;
    }

    /// <summary>Goes on with the segment, and retires it at its end.</summary>
    public void Step()
    {
        var source = _source!;
        var header = context.Headers.Rent();
        long copied = 0;
        for (var records = 0; _next < _slots.Length && records < StepRecords && copied < StepBytes; records++)
        {
            copied += Empty(source, _slots[_next++], header.Span);
        }

        context.Headers.Return(header);
        if (_next < _slots.Length)
        {
            return;
        }

        // What was copied is on the device before the original goes.
        segments.TrySync();
        DiskCounters.Increment(ref context.Counters.ReclaimedSegments);
        DiskCounters.Add(ref context.Counters.ReclaimedBytes, source.File.Length);
        segments.Retire(source);
        _source = null;
        _slots = [];
        _list = [];
    }

    public void Dispose() => _buffer?.Dispose();

    /// <summary>Deals with one record; returns the bytes that were copied.</summary>
    private long Empty(Segment source, in RecordSlot slot, Span<byte> header)
    {
        if (!source.TryFind(slot.Offset, out _))
        {
            return 0;
        }

        if (!TryDescribe(source, slot, header, out var record))
        {
            source.TryKill(slot.Offset, isRemoved: false, out _);
            return 0;
        }

        var location = new DiskLocation(source.Number, slot.Offset);
        var mayKeep = slot.Bytes <= _keepBytes;
        var isKept = observer.Decide(record, location, mayKeep) == ReclaimVerdict.Keep && mayKeep;
        if (isKept && TryMove(source, slot, location, header))
        {
            return slot.Bytes;
        }

        Drop(source, slot, location, record);
        return 0;
    }

    private bool TryMove(Segment source, in RecordSlot slot, DiskLocation from, Span<byte> header)
    {
        if (!reader.TryReadHeader(source, slot, header, out var fields, out var record))
        {
            return false;
        }

        _buffer ??= new AlignedBuffer((int)Math.Min(CopyBytes, context.Options.EffectiveSegmentBytes));
        if (!writer.TryCopy(source, slot, header, RecordHeader.PrefixBytes(fields), _buffer.Span, out var to))
        {
            return false;
        }

        _keepBytes -= slot.Bytes;
        DiskCounters.Increment(ref context.Counters.ReadmittedRecords);
        DiskCounters.Add(ref context.Counters.ReadmittedBytes, slot.Bytes);
        if (observer.Moved(record, from, to))
        {
            source.TryKill(slot.Offset, isRemoved: false, out _);
        }
        else
        {
            // Removed while it was copied: neither may come back.
            segments.TryRemove(source, slot.Offset, out _);
            if (segments.Find(to.Segment) is { } target && segments.TryRemove(target, to.Offset, out _))
            {
                removals.TryAppend(new RemovalEntry(slot.Sequence, to.Segment));
            }
        }

        return true;
    }

    /// <summary>
    /// The file goes in a while, and until then a crash would bring the record back. For content that is no harm; an opaque key may have a
    /// newer value by then, so its end is put on record before the engine forgets it.
    /// </summary>
    private void Drop(Segment source, in RecordSlot slot, DiskLocation location, in DiskRecord record)
    {
        var isOpaque = !record.Flags.HasFlag(BlockFlags.Content);
        if (!(isOpaque ? segments.TryRemove(source, slot.Offset, out _) : source.TryKill(slot.Offset, isRemoved: false, out _)))
        {
            return;
        }

        if (isOpaque)
        {
            removals.TryAppend(new RemovalEntry(slot.Sequence, source.Number));
        }

        DiskCounters.Increment(ref context.Counters.DroppedRecords);
        DiskCounters.Add(ref context.Counters.DroppedBytes, slot.Bytes);
        observer.Forget(record, location);
    }

    /// <summary>What a record is, from the list, which is sorted as the slots are, or from its header.</summary>
    private bool TryDescribe(Segment source, in RecordSlot slot, Span<byte> header, out DiskRecord record)
    {
        var entries = new RecordList.Reader(_list.AsSpan(_listPosition));
        while (entries.TryNext(out var offset, out var prefix) && offset <= slot.Offset)
        {
            _listPosition = _list.Length - entries.RestBytes;
            if (offset == slot.Offset && RecordHeader.TryReadPrefix(prefix, out _, out record))
            {
                return true;
            }
        }

        return reader.TryReadHeader(source, slot, header, out _, out record);
    }

    private byte[] ReadList(Segment source)
    {
        if (source.TryCopyEntries(out var entries))
        {
            return entries;
        }

        return DiskFiles.ReadAll(context.Files, DiskFileNames.List(source.Number), out var content) == FileStatus.Ok
            && RecordList.TryOpen(content, context.Store, source.Number, out _, out var found)
                ? found.ToArray()
                : [];
    }

    private Segment? Choose() =>
        segments.All
            .Where(segment => segment.IsClosed)
            .OrderByDescending(segment => EighthsOfWorthless(segment.Figures))
            .ThenBy(segment => segment.Number)
            .FirstOrDefault();

    /// <summary>In eighths, so that age decides among segments that are about as worthless.</summary>
    private static long EighthsOfWorthless(SegmentFigures figures) =>
        figures.UsedBytes == 0 ? 8 : figures.WorthlessBytes * 8 / figures.UsedBytes;
}
