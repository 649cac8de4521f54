using KvMesh.Codecs.Layouts;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Codecs.Blocks;

/// <summary>Brings sections whose strips hold all of their refinements into the order of a block: all bases, all first refinements and so on.</summary>
internal static class RefinementWriter
{
    /// <summary>Rewrites the sections of a block in place. Nothing to do for a codec without refinements.</summary>
    /// <param name="codec">The codec that wrote them.</param>
    /// <param name="geometry">What was encoded.</param>
    /// <param name="firstPosition">Position of its first token.</param>
    /// <param name="options">As given to the encoder.</param>
    /// <param name="entries">Where in the block entries of sections begin; those of whole sections are there.</param>
    /// <param name="end">Where the last section ends.</param>
    /// <param name="block">The block, with room for all that it may take.</param>
    /// <param name="scratch">Working memory of this thread.</param>
    /// <returns>Where the last section ends now.</returns>
    public static int Spread(
        KvCodec codec, BlockGeometry geometry, long firstPosition, in EncodeOptions options, int entries, int end, Span<byte> block, CodecScratch scratch)
    {
        if (codec.Refinements == 0)
        {
            return end;
        }

        var tensors = geometry.Planes.Length;
        var first = entries + (tensors * (codec.Refinements + 1) * SectionEntry.Bytes) + sizeof(uint);
        var whole = scratch.Rent(FrameSlot.Whole, end - first);
        block[first..end].CopyTo(whole);
        var lengths = scratch.Rent<int>(FrameSlot.Lengths, tensors);
        for (var index = 0; index < tensors; index++)
        {
            lengths[index] = SectionEntry.Read(block[(entries + (index * SectionEntry.Bytes))..]).Length;
        }

        var at = first;
        for (var refinement = 0; refinement <= codec.Refinements; refinement++)
        {
            var from = 0;
            for (var index = 0; index < tensors; index++)
            {
                var length = WritePart(codec, geometry, index, firstPosition, options, refinement, whole.Slice(from, lengths[index]), block[at..], scratch);
                var plane = geometry.Planes[index];
                var entry = new SectionEntry(plane.Layer, plane.Shape.Kind, plane.FirstHead, plane.HeadCount, at, length, Crc32C.Compute(block.Slice(at, length)));
                (entry with { Refinement = (byte)refinement }).Write(block[(entries + (((refinement * tensors) + index) * SectionEntry.Bytes))..]);
                at += length;
                from += lengths[index];
            }
        }

        return at;
    }

    /// <summary>Writes the base, or one refinement, of all strips of a section. Rows that stay raw and strips that are stored as they are belong to the base.</summary>
    private static int WritePart(
        KvCodec codec, BlockGeometry geometry, int planeIndex, long firstPosition, in EncodeOptions options, int refinement,
        ReadOnlySpan<byte> section, Span<byte> destination, CodecScratch scratch)
    {
        var strips = new PlaneStrips(codec, geometry, planeIndex, firstPosition, !options.KeptOffsets.IsEmpty);
        var at = strips.Count * StripEntry.Bytes;
        var from = at;
        Span<int> parts = stackalloc int[KvCodec.MaxRefinements + 1];
        for (var strip = 0; strip < strips.Count; strip++)
        {
            var entry = StripEntry.Read(section[(strip * StripEntry.Bytes)..]);
            var bytes = section.Slice(from, entry.Length);
            from += entry.Length;
            if (entry.IsRaw)
            {
                bytes = refinement == 0 ? bytes : default;
            }
            else
            {
                var shape = strips.Shape(strip);
                var raw = RawTokens.Of(codec, shape.Tokens, options.SinkPosition(firstPosition), options.RawTail);
                codec.MeasureRefinements(bytes[(raw.Rows * shape.RowBytes)..], parts[..(codec.Refinements + 1)]);
                parts[0] += raw.Rows * shape.RowBytes;
                var start = Sum(parts[..refinement]);
                if (options.RecordsDecodedChecksums && refinement < codec.Refinements)
                {
                    entry = entry with { DecodedChecksum = BlockEncoder.DecodedChecksum(codec, shape, raw, entry, bytes[..(start + parts[refinement])], scratch, refinement) };
                }

                bytes = bytes.Slice(start, parts[refinement]);
            }

            (entry with { Length = bytes.Length }).Write(destination[(strip * StripEntry.Bytes)..]);
            bytes.CopyTo(destination[at..]);
            at += bytes.Length;
        }

        return at;
    }

    private static int Sum(ReadOnlySpan<int> parts)
    {
        var sum = 0;
        foreach (var part in parts)
        {
            sum += part;
        }

        return sum;
    }
}
