using KvMesh.Protocol;

namespace KvMesh.Engine.Disk;

/// <summary>Appends records. Any thread; each append has a segment to itself while it writes.</summary>
internal sealed class RecordWriter(DiskContext context, SegmentSet segments, RemovalLog removals)
{
    public bool TryAppend(in DiskRecord record, ReadOnlySpan<byte> extent, out DiskLocation location)
    {
        location = default;
        var header = context.Headers.Rent();
        try
        {
            header.Span.Clear();
            var prefix = RecordHeader.Compose(header.Span, record, extent);
            var bytes = RecordHeader.RecordBytes(record);
            if (!TryTake(bytes, isReclaim: false, out var segment))
            {
                return false;
            }

            var offset = segment!.Tail;
            var sequence = record.Sequence != 0 ? record.Sequence : segments.NextSequence();
            RecordHeader.Place(header.Span, context.Store, segment.Number, offset, sequence);
            var status = segment.File.Write(offset, header.Span, extent[..(int)(bytes - Limits.GranuleBytes)]);
            if (status != FileStatus.Ok)
            {
                Disown(segment, sequence);
                segments.GiveUp(segment, status);
                return false;
            }

            segment.Commit(bytes, sequence, header.Span[..prefix]);
            segments.GiveBack(segment);
            Count(1, bytes);
            location = new DiskLocation(segment.Number, offset);
            return true;
        }
        finally
        {
            context.Headers.Return(header);
        }
    }

    public bool TryAppend(DiskBatch batch, Span<DiskLocation> locations)
    {
        if (batch.Count == 0)
        {
            return true;
        }

        var count = batch.Count;
        var bytes = batch.Bytes;
        if (!TryTake(bytes.Length, isReclaim: false, out var segment))
        {
            batch.Clear();
            return false;
        }

        var first = segment!.Tail;
        for (var i = 0; i < count; i++)
        {
            var entry = batch.Number(i, segments);
            RecordHeader.Place(bytes[entry.Offset..], context.Store, segment.Number, first + entry.Offset, entry.Sequence);
        }

        var status = segment.File.Write(first, bytes, default);
        if (status != FileStatus.Ok)
        {
            for (var i = 0; i < count; i++)
            {
                Disown(segment, batch.Entry(i).Sequence);
            }

            segments.GiveUp(segment, status);
            batch.Clear();
            return false;
        }

        for (var i = 0; i < count; i++)
        {
            var entry = batch.Entry(i);
            segment.Commit(entry.Bytes, entry.Sequence, bytes.Slice(entry.Offset, entry.PrefixBytes));
            locations[i] = new DiskLocation(segment.Number, first + entry.Offset);
        }

        segments.GiveBack(segment);
        Count(count, bytes.Length);
        batch.Clear();
        return true;
    }

    /// <summary>
    /// Copies a record whose valid header is in <paramref name="header"/> to another segment, under its old sequence. The header is written
    /// last, so that a copy that was cut short is no record. The caller holds the source open.
    /// </summary>
    public bool TryCopy(Segment source, in RecordSlot slot, Span<byte> header, int prefixBytes, Span<byte> buffer, out DiskLocation location)
    {
        location = default;
        if (!TryTake(slot.Bytes, isReclaim: true, out var target))
        {
            return false;
        }

        var offset = target!.Tail;
        for (var done = (long)Limits.GranuleBytes; done < slot.Bytes; done += buffer.Length)
        {
            var piece = buffer[..(int)Math.Min(buffer.Length, slot.Bytes - done)];
            if (source.File.Read(slot.Offset + done, piece, default) != FileStatus.Ok)
            {
                DiskCounters.Increment(ref context.Counters.ReadErrors);
                segments.GiveBack(target);
                return false;
            }

            var status = target.File.Write(offset + done, piece, default);
            if (status != FileStatus.Ok)
            {
                segments.GiveUp(target, status);
                return false;
            }
        }

        RecordHeader.Place(header, context.Store, target.Number, offset, slot.Sequence);
        var written = target.File.Write(offset, header, default);
        if (written != FileStatus.Ok)
        {
            Disown(target, slot.Sequence);
            segments.GiveUp(target, written);
            return false;
        }

        target.Commit(slot.Bytes, slot.Sequence, header[..prefixBytes]);
        segments.GiveBack(target);
        location = new DiskLocation(target.Number, offset);
        return true;
    }

    /// <summary>A write that failed may have reached the device all the same: the next start must not find what the engine was refused.</summary>
    private void Disown(Segment segment, long sequence)
    {
        segment.AddRemoved(sequence);
        removals.TryAppend(new RemovalEntry(sequence, segment.Number));
    }

    private bool TryTake(long bytes, bool isReclaim, out Segment? segment)
    {
        segment = null;
        if (bytes > segments.MaxRecordBytes)
        {
            DiskCounters.Increment(ref context.Counters.OversizedAppends);
            return false;
        }

        segment = segments.Take(bytes, isReclaim);
        if (segment is null)
        {
            DiskCounters.Increment(ref context.Counters.RefusedAppends);
        }

        return segment is not null;
    }

    private void Count(int records, long bytes)
    {
        DiskCounters.Add(ref context.Counters.AppendedRecords, records);
        DiskCounters.Add(ref context.Counters.AppendedBytes, bytes);
    }
}
