using System.Buffers.Binary;
using KvMesh.Codecs.Layouts;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Codecs.Blocks;

/// <summary>
/// Takes encoded blocks apart and puts them together by layer and head without decoding them: what one tensor- or pipeline-parallel rank
/// wrote is read by another. Strips keep their bytes; sections get new checksums after the old ones were verified.
/// </summary>
public static class EncodedParts
{
    /// <summary>Most bytes that <see cref="Assemble"/> writes: what the sources have together.</summary>
    public static long MaxBytes(IReadOnlyList<ReadOnlyMemory<byte>> sources) => sources.Sum(source => (long)source.Length);

    /// <summary>Writes the encoded form of a part out of encoded parts of the same block.</summary>
    /// <param name="sources">Encoded by the same codec from the same tokens; heads that several hold are taken from the first.</param>
    /// <param name="part">Layers and heads that are wanted; all tokens of the block.</param>
    /// <param name="destination">At least <see cref="MaxBytes"/>.</param>
    /// <param name="written">Bytes written.</param>
    public static DecodeResult Assemble(IReadOnlyList<ReadOnlyMemory<byte>> sources, BlockGeometry part, Span<byte> destination, out int written)
    {
        written = 0;
        var result = TryCommonHeader(sources, part, out var header, out var parameters);
        if (result != DecodeResult.Ok)
        {
            return result;
        }

        header = header with { SectionCount = part.Planes.Length * (header.Refinements + 1) };
        var entries = header.EntriesOffset;
        var at = header.HeaderBytes;
        for (var index = 0; index < header.SectionCount; index++)
        {
            var (refinement, tensor) = Math.DivRem(index, part.Planes.Length);
            var plane = part.Planes[tensor];
            result = AppendSection(sources, plane, refinement, header.Has(EncodedFlags.JoinedHeads), destination[at..], out var length);
            if (result != DecodeResult.Ok)
            {
                return result;
            }

            var checksum = Crc32C.Compute(destination.Slice(at, length));
            var entry = new SectionEntry(plane.Layer, plane.Shape.Kind, plane.FirstHead, plane.HeadCount, at, length, checksum) { Refinement = (byte)refinement };
            entry.Write(destination[(entries + (index * SectionEntry.Bytes))..]);
            at += length;
        }

        header = header with { TotalBytes = at };
        header.Write(destination, part.Layout.Hash);
        parameters.Span.CopyTo(destination[EncodedHeader.FixedBytes..]);
        var summed = header.HeaderBytes - sizeof(uint);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[summed..], Crc32C.Compute(destination[..summed]));
        written = at;
        return DecodeResult.Ok;
    }

    /// <summary>The header that all sources share, with the largest of their errors.</summary>
    private static DecodeResult TryCommonHeader(
        IReadOnlyList<ReadOnlyMemory<byte>> sources, BlockGeometry part, out EncodedHeader header, out ReadOnlyMemory<byte> parameters)
    {
        header = default;
        parameters = default;
        for (var index = 0; index < sources.Count; index++)
        {
            var result = EncodedBlock.TryOpen(sources[index].Span, out var block);
            if (result != DecodeResult.Ok)
            {
                return result;
            }

            if (!block.LayoutHash.SequenceEqual(part.Layout.Hash) || block.Header.Tokens != part.Region.TokenCount)
            {
                return DecodeResult.WrongLayout;
            }

            if (index == 0)
            {
                header = block.Header;
                parameters = sources[0].Slice(EncodedHeader.FixedBytes, header.ParameterBytes + header.KeptBytes);
                continue;
            }

            var other = block.Header;
            if (other.Codec != header.Codec || other.CodecVersion != header.CodecVersion || !sources[index].Span[EncodedHeader.FixedBytes..other.EntriesOffset].SequenceEqual(parameters.Span)
                || other.FirstPosition != header.FirstPosition || other.Raw != header.Raw || other.Refinements != header.Refinements)
            {
                return DecodeResult.Malformed;
            }

            // A flag holds for the whole only when it holds for every source.
            header = header with { Flags = header.Flags & other.Flags, Error = Larger(header.Error, other.Error) };
        }

        return sources.Count == 0 ? DecodeResult.NotHere : DecodeResult.Ok;
    }

    private static DecodeResult AppendSection(
        IReadOnlyList<ReadOnlyMemory<byte>> sources, in PlaneGeometry plane, int refinement, bool isJoined, Span<byte> destination, out int length)
    {
        var strips = isJoined ? 1 : plane.HeadCount;
        length = strips * StripEntry.Bytes;
        for (var strip = 0; strip < strips; strip++)
        {
            var result = AppendStrip(sources, plane, refinement, isJoined, strip, destination, ref length);
            if (result != DecodeResult.Ok)
            {
                return result;
            }
        }

        return DecodeResult.Ok;
    }

    private static DecodeResult AppendStrip(
        IReadOnlyList<ReadOnlyMemory<byte>> sources, in PlaneGeometry plane, int refinement, bool isJoined, int strip, Span<byte> destination, ref int length)
    {
        foreach (var source in sources)
        {
            var result = EncodedBlock.TryOpen(source.Span, out var block);
            var index = result == DecodeResult.Ok ? block.IndexOf(plane.Layer, plane.Shape.Kind) : -1;
            if (index < 0)
            {
                continue;
            }

            var held = block.Section(index + (refinement * block.Header.TensorCount));
            var inSource = plane.FirstHead + strip - held.FirstHead;
            var isHeld = isJoined ? held.FirstHead == plane.FirstHead && held.HeadCount == plane.HeadCount : (uint)inSource < (uint)held.HeadCount;
            if (!isHeld)
            {
                continue;
            }

            result = block.TryRead(held, out var section);
            if (result != DecodeResult.Ok)
            {
                return result;
            }

            var entry = section.Entry(isJoined ? 0 : inSource);
            entry.Write(destination[(strip * StripEntry.Bytes)..]);
            section.Strip(isJoined ? 0 : inSource).CopyTo(destination[length..]);
            length += entry.Length;
            return DecodeResult.Ok;
        }

        return DecodeResult.NotHere;
    }

    private static MeasuredError Larger(MeasuredError a, MeasuredError b) =>
        new(MathF.Max(a.Keys, b.Keys), MathF.Max(a.Values, b.Values), MathF.Max(a.Outputs, b.Outputs));
}
