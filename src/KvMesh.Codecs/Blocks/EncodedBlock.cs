using System.Buffers.Binary;
using KvMesh.Codecs.Layouts;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Codecs.Blocks;

/// <summary>
/// The bytes of an encoded block, opened: its header was read and verified, and each section lies within the block. Sections are verified
/// when they are read. A header can be opened before its sections have arrived.
/// </summary>
public readonly ref struct EncodedBlock
{
    private readonly ReadOnlySpan<byte> _bytes;

    private EncodedBlock(ReadOnlySpan<byte> bytes, EncodedHeader header)
    {
        _bytes = bytes;
        Header = header;
    }

    public EncodedHeader Header { get; }

    /// <summary>The hash of the layout that the block was encoded from.</summary>
    public ReadOnlySpan<byte> LayoutHash => _bytes[60..EncodedHeader.FixedBytes];

    /// <summary>The codec's parameters.</summary>
    public ReadOnlySpan<byte> Parameters => _bytes.Slice(EncodedHeader.FixedBytes, Header.ParameterBytes);

    /// <summary>Bytes of the list of kept tokens.</summary>
    internal ReadOnlySpan<byte> Kept => _bytes.Slice(EncodedHeader.FixedBytes + Header.ParameterBytes, Header.KeptBytes);

    /// <summary>For each row how far its position lies behind <see cref="EncodedHeader.FirstPosition"/>.</summary>
    /// <param name="offsets">At least as many as the block has tokens.</param>
    public void ReadKeptOffsets(Span<int> offsets)
    {
        offsets = offsets[..Header.Tokens];
        if (Header.KeptBytes > 0)
        {
            KeptTokens.TryRead(Kept, Header.Tokens, offsets);
            return;
        }

        for (var token = 0; token < offsets.Length; token++)
        {
            offsets[token] = token;
        }
    }

    /// <summary>Opens a block, or the start of one that holds at least its header.</summary>
    public static DecodeResult TryOpen(ReadOnlySpan<byte> bytes, out EncodedBlock block)
    {
        block = default;
        var result = EncodedHeader.TryRead(bytes, out var header);
        if (result != DecodeResult.Ok)
        {
            return result;
        }

        if (bytes.Length < header.HeaderBytes)
        {
            return DecodeResult.Truncated;
        }

        var summed = header.HeaderBytes - sizeof(uint);
        if (Crc32C.Compute(bytes[..summed]) != BinaryPrimitives.ReadUInt32LittleEndian(bytes[summed..]))
        {
            return DecodeResult.BadChecksum;
        }

        block = new EncodedBlock(bytes, header);
        var isKept = header.KeptBytes == 0 || KeptTokens.TryRead(block.Kept, header.Tokens, default);
        return isKept && block.SectionsFit() && EncodedHeader.HashOf(block.Parameters) == header.ParametersHash ? DecodeResult.Ok : DecodeResult.Malformed;
    }

    /// <summary>Entry of a section, by its index.</summary>
    public SectionEntry Section(int index)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)index, (uint)Header.SectionCount, nameof(index));
        return SectionEntry.Read(_bytes[(Header.EntriesOffset + (index * SectionEntry.Bytes))..]);
    }

    /// <summary>Bytes from the block's first to the end of all sections of so many refinements: a prefix that decodes.</summary>
    public int BytesWith(int refinements)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)refinements, (uint)Header.Refinements, nameof(refinements));
        var last = Section(((refinements + 1) * Header.TensorCount) - 1);
        return last.Offset + last.Length;
    }

    /// <summary>Index of the section of a tensor's base; -1 when the block does not hold it. Sections are in the order of refinement, layer and kind.</summary>
    public int IndexOf(int layer, PlaneKind kind)
    {
        int low = 0, high = Header.TensorCount - 1;
        while (low <= high)
        {
            var middle = (low + high) >> 1;
            var entry = Section(middle);
            var order = entry.Layer != layer ? entry.Layer.CompareTo(layer) : ((byte)entry.Kind).CompareTo((byte)kind);
            if (order == 0)
            {
                return middle;
            }

            (low, high) = order < 0 ? (middle + 1, high) : (low, middle - 1);
        }

        return -1;
    }

    /// <summary>Bytes of a section, verified.</summary>
    public DecodeResult TryRead(scoped in SectionEntry entry, out EncodedSection section)
    {
        section = default;
        if (_bytes.Length - entry.Offset < entry.Length)
        {
            return DecodeResult.Truncated;
        }

        var bytes = _bytes.Slice(entry.Offset, entry.Length);
        if (Crc32C.Compute(bytes) != entry.Checksum)
        {
            return DecodeResult.BadChecksum;
        }

        section = new EncodedSection(bytes, Header.Has(EncodedFlags.JoinedHeads) ? 1 : entry.HeadCount);
        return section.StripsFit() ? DecodeResult.Ok : DecodeResult.Malformed;
    }

    private bool SectionsFit()
    {
        long end = Header.HeaderBytes;
        var previous = -1;
        for (var index = 0; index < Header.SectionCount; index++)
        {
            var entry = Section(index);
            var order = (entry.Layer << 8) | (byte)entry.Kind;
            var (refinement, tensor) = Math.DivRem(index, Header.TensorCount);
            var isInPlace = refinement == 0 ? order > previous : entry.IsOfSameTensor(Section(tensor));
            if (!isInPlace || entry.Refinement != refinement || entry.Offset != end || entry.Length < StripEntry.Bytes || entry.HeadCount == 0)
            {
                return false;
            }

            previous = order;
            end += entry.Length;
        }

        return end == Header.TotalBytes;
    }
}

/// <summary>The bytes of one section: an entry for each strip, then the strips.</summary>
public readonly ref struct EncodedSection
{
    private readonly ReadOnlySpan<byte> _bytes;

    internal EncodedSection(ReadOnlySpan<byte> bytes, int stripCount)
    {
        _bytes = bytes;
        StripCount = stripCount;
    }

    internal int StripCount { get; }

    internal StripEntry Entry(int strip) => StripEntry.Read(_bytes.Slice(strip * StripEntry.Bytes, StripEntry.Bytes));

    internal ReadOnlySpan<byte> Strip(int strip)
    {
        var offset = StripCount * StripEntry.Bytes;
        for (var before = 0; before < strip; before++)
        {
            offset += Entry(before).Length;
        }

        return _bytes.Slice(offset, Entry(strip).Length);
    }

    internal bool StripsFit()
    {
        long bytes = (long)StripCount * StripEntry.Bytes;
        for (var strip = 0; bytes <= _bytes.Length && strip < StripCount; strip++)
        {
            bytes += Entry(strip).Length;
        }

        return bytes == _bytes.Length;
    }
}
