using System.Diagnostics;
using KvMesh.Protocol;
using KvMesh.Protocol.Keys;

namespace KvMesh.Engine.Disk;

/// <summary>Reads records. Any thread; a read holds its segment's file, not a lock, and allocates nothing once warm.</summary>
internal sealed class RecordReader(DiskContext context, SegmentSet segments)
{
    public bool TryRead(DiskLocation location, KeyDigest expected, Span<byte> extent) =>
        TryRead(location, expected, extent, isEncoded: false, out _);

    public bool TryReadEncoded(DiskLocation location, KeyDigest expected, Span<byte> extent, out StoredExtent stored) =>
        TryRead(location, expected, extent, isEncoded: true, out stored);

    public bool TryReadRange(DiskLocation location, long extentOffset, Span<byte> destination)
    {
        var segment = segments.Find(location.Segment);
        if (segment is null || !segment.Uses.TryEnter())
        {
            return false;
        }

        var header = context.Headers.Rent();
        try
        {
            return segment.TryFind(location.Offset, out var slot) && TryReadRange(segment, slot, header.Span, extentOffset, destination);
        }
        finally
        {
            context.Headers.Return(header);
            segment.Uses.Leave();
        }
    }

    /// <summary>Reads in which form a block is stored, and nothing of it.</summary>
    public bool TryReadForm(DiskLocation location, KeyDigest expected, out StoredExtent stored)
    {
        stored = default;
        var segment = segments.Find(location.Segment);
        if (segment is null || !segment.Uses.TryEnter())
        {
            return false;
        }

        var header = context.Headers.Rent();
        try
        {
            if (!segment.TryFind(location.Offset, out var slot) || !TryReadHeader(segment, slot, header.Span, out var fields, out var record) || fields.Digest != expected)
            {
                return false;
            }

            stored = StoredOf(record);
            return true;
        }
        finally
        {
            context.Headers.Return(header);
            segment.Uses.Leave();
        }
    }

    /// <summary>Reads and checks a header. The caller holds the segment open.</summary>
    public bool TryReadHeader(Segment segment, in RecordSlot slot, Span<byte> header, out RecordFields fields, out DiskRecord record)
    {
        fields = default;
        record = default;
        return Check(segment.File.Read(slot.Offset, header, default)) && IsIntact(segment, slot, header, out fields, out record);
    }

    private bool TryRead(DiskLocation location, KeyDigest expected, Span<byte> extent, bool isEncoded, out StoredExtent stored)
    {
        stored = default;
        var segment = segments.Find(location.Segment);
        if (segment is null || !segment.Uses.TryEnter())
        {
            return false;
        }

        var header = context.Headers.Rent();
        try
        {
            return segment.TryFind(location.Offset, out var slot) && slot.IsEncoded == isEncoded
                && TryRead(segment, slot, expected, header.Span, extent, out stored);
        }
        finally
        {
            context.Headers.Return(header);
            segment.Uses.Leave();
        }
    }

    private bool TryRead(Segment segment, in RecordSlot slot, KeyDigest expected, Span<byte> header, Span<byte> extent, out StoredExtent stored)
    {
        stored = default;
        var outside = (int)(slot.Bytes - Limits.GranuleBytes);
        Debug.Assert(extent.Length >= outside, "The caller knows how long the extent is.");
        if (extent.Length < outside
            || !Check(segment.File.Read(slot.Offset, header, extent[..outside]))
            || !IsIntact(segment, slot, header, out var fields, out var record)
            || fields.Digest != expected || record.IsEncoded != slot.IsEncoded)
        {
            return false;
        }

        if (outside == 0)
        {
            var inline = RecordHeader.InlineExtent(header, fields);
            if (extent.Length < inline.Length)
            {
                return false;
            }

            inline.CopyTo(extent);
        }

        stored = StoredOf(record);
        Count(slot.Bytes);
        return true;
    }

    private static StoredExtent StoredOf(in DiskRecord record) =>
        new((int)record.PayloadBytes, (int)record.ExtentBytes, record.TableChecksum, (int)record.BlockBytes, record.BlockTableChecksum) { Codec = record.Codec };

    private bool TryReadRange(Segment segment, in RecordSlot slot, Span<byte> header, long extentOffset, Span<byte> destination)
    {
        if (slot.GranuleCount == 1)
        {
            return TryReadInlineRange(segment, slot, header, extentOffset, destination);
        }

        if (extentOffset < 0 || extentOffset + destination.Length > slot.Bytes - Limits.GranuleBytes
            || !Check(segment.File.Read(slot.Offset + Limits.GranuleBytes + extentOffset, destination, default)))
        {
            return false;
        }

        Count(destination.Length);
        return true;
    }

    private bool TryReadInlineRange(Segment segment, in RecordSlot slot, Span<byte> header, long extentOffset, Span<byte> destination)
    {
        if (extentOffset != 0 || !TryReadHeader(segment, slot, header, out var fields, out _))
        {
            return false;
        }

        var inline = RecordHeader.InlineExtent(header, fields);
        if (destination.Length < inline.Length)
        {
            return false;
        }

        inline.CopyTo(destination);
        Count(slot.Bytes);
        return true;
    }

    private bool IsIntact(Segment segment, in RecordSlot slot, ReadOnlySpan<byte> header, out RecordFields fields, out DiskRecord record)
    {
        if (RecordHeader.TryRead(header, context.Store, segment.Number, slot.Offset, out fields, out record)
            && fields.Kind == RecordKind.Live && fields.Sequence == slot.Sequence && fields.RecordBytes == slot.Bytes)
        {
            return true;
        }

        DiskCounters.Increment(ref context.Counters.CorruptRecords);
        return false;
    }

    private bool Check(FileStatus status)
    {
        if (status == FileStatus.Ok)
        {
            return true;
        }

        DiskCounters.Increment(ref context.Counters.ReadErrors);
        return false;
    }

    private void Count(long bytes)
    {
        DiskCounters.Increment(ref context.Counters.ReadRecords);
        DiskCounters.Add(ref context.Counters.ReadBytes, bytes);
    }
}
