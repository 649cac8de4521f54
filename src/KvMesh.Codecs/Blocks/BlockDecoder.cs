using System.Runtime.Intrinsics.X86;
using KvMesh.Codecs.Layouts;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Codecs.Blocks;

/// <summary>Decodes a block, or any layers, heads and tokens of one, into any order. Allocates nothing once the scratch is warm.</summary>
public static class BlockDecoder
{
    /// <summary>From so many bytes on, what is decoded is written past the caches: most of it would leave them again before it is read.</summary>
    internal const int MinStreamedBytes = 8 * 1024 * 1024;

    /// <summary>Decodes what <paramref name="geometry"/> asks for. Sections that it does not ask for need not be there.</summary>
    /// <param name="registry">Where the codec is looked for.</param>
    /// <param name="bytes">
    /// The encoded block, or a start of it that holds the sections asked for. Of a tensor's refinements as many are used as are whole in it: the
    /// measured error of the header holds for all of them.
    /// </param>
    /// <param name="geometry">The part that is wanted, of the layout that was encoded.</param>
    /// <param name="destination">Exactly the bytes of the geometry.</param>
    /// <param name="scratch">Working memory of this thread.</param>
    public static DecodeResult Decode(CodecRegistry registry, ReadOnlySpan<byte> bytes, BlockGeometry geometry, Span<byte> destination, CodecScratch scratch)
    {
        var result = TryOpen(registry, bytes, geometry, destination, out var block, out var codec);
        for (var plane = 0; plane < geometry.Planes.Length && result == DecodeResult.Ok; plane++)
        {
            result = DecodePlane(codec!, block, geometry, plane, destination, scratch);
        }

        return result;
    }

    /// <summary>Opens a block and finds its codec; null unless the result is ok.</summary>
    internal static DecodeResult TryOpen(
        CodecRegistry registry, ReadOnlySpan<byte> bytes, BlockGeometry geometry, ReadOnlySpan<byte> destination, out EncodedBlock block, out KvCodec? codec)
    {
        if (destination.Length != geometry.Bytes)
        {
            throw new ArgumentException($"a part of {geometry.Bytes} bytes is to be decoded into {destination.Length}.", nameof(destination));
        }

        codec = null;
        var result = EncodedBlock.TryOpen(bytes, out block);
        if (result != DecodeResult.Ok)
        {
            return result;
        }

        if (!block.LayoutHash.SequenceEqual(geometry.Layout.Hash) || block.Header.Tokens < geometry.Region.FirstToken + geometry.Region.TokenCount)
        {
            return DecodeResult.WrongLayout;
        }

        return registry.TryFind(block.Header, block.Parameters, out codec) ? DecodeResult.Ok : DecodeResult.UnknownCodec;
    }

    internal static DecodeResult DecodePlane(
        KvCodec codec, in EncodedBlock block, BlockGeometry geometry, int planeIndex, Span<byte> destination, CodecScratch scratch)
    {
        var plane = geometry.Planes[planeIndex];
        var index = block.IndexOf(plane.Layer, plane.Shape.Kind);
        if (index < 0)
        {
            return DecodeResult.NotHere;
        }

        var entry = block.Section(index);
        if (plane.FirstHead < entry.FirstHead || plane.FirstHead + plane.HeadCount > entry.FirstHead + entry.HeadCount)
        {
            return DecodeResult.NotHere;
        }

        if (block.Header.Has(EncodedFlags.JoinedHeads) != codec.JoinsHeads || block.Header.Refinements != codec.Refinements || entry.FirstHead + entry.HeadCount > plane.Shape.Heads)
        {
            return DecodeResult.Malformed;
        }

        var result = RefinedSection.TryRead(block, index, out var section);
        if (result != DecodeResult.Ok)
        {
            return result;
        }

        result = codec.JoinsHeads
            ? DecodeStrip(codec, block.Header, section, 0, entry, geometry, plane, destination, scratch)
            : DecodeHeads(codec, block.Header, section, entry, geometry, plane, destination, scratch);

        // What was streamed is there for every thread that learns of the result.
        if (Streams(block.Header, destination))
        {
            Sse.StoreFence();
        }

        return result;
    }

    private static DecodeResult DecodeHeads(
        KvCodec codec, in EncodedHeader header, in RefinedSection section, in SectionEntry entry, BlockGeometry geometry, in PlaneGeometry plane,
        Span<byte> destination, CodecScratch scratch)
    {
        for (var head = 0; head < plane.HeadCount; head++)
        {
            var single = plane with { FirstHead = plane.FirstHead + head, HeadCount = 1, Offset = plane.RowOffset(head, 0) };
            var strip = single.FirstHead - entry.FirstHead;
            var result = DecodeStrip(codec, header, section, strip, entry with { FirstHead = single.FirstHead, HeadCount = 1 }, geometry, single, destination, scratch);
            if (result != DecodeResult.Ok)
            {
                return result;
            }
        }

        return DecodeResult.Ok;
    }

    /// <summary>Decodes a strip of the heads of <paramref name="held"/> and keeps the heads and tokens that are wanted.</summary>
    private static DecodeResult DecodeStrip(
        KvCodec codec, in EncodedHeader header, in RefinedSection section, int strip, in SectionEntry held, BlockGeometry geometry,
        in PlaneGeometry wanted, Span<byte> destination, CodecScratch scratch)
    {
        var shape = WholeShape(header, geometry, wanted, held);
        var isCoded = wanted.Shape.IsPerToken && codec.Codes(wanted.Shape);
        var raw = isCoded ? header.Raw : new RawTokens(0, shape.Tokens);
        var entry = section.Entry(strip);
        var encoded = section.Strip(strip, scratch);
        var row = wanted.Shape.RowBytes;
        var rows = geometry.Rows(wanted);
        var headsLieTogether = wanted.HeadCount == 1 || wanted.HeadStride == row;
        if (rows == shape.Tokens && held.HeadCount == wanted.HeadCount && headsLieTogether)
        {
            var stride = rows == 1 ? shape.RowBytes : wanted.TokenStride;
            var target = destination[wanted.Offset..];
            return StripFrame.TryDecode(codec, shape, raw, entry, encoded, target, stride, scratch, Streams(header, destination), section.Refinements)
                ? Verify(header, entry, new StripTarget(target, shape, stride), shape)
                : DecodeResult.Malformed;
        }

        var whole = scratch.Rent(FrameSlot.Target, shape.Bytes);
        if (!StripFrame.TryDecode(codec, shape, raw, entry, encoded, whole, shape.RowBytes, scratch, refinements: section.Refinements))
        {
            return DecodeResult.Malformed;
        }

        var result = Verify(header, entry, new StripTarget(whole, shape, shape.RowBytes), shape);
        var firstToken = wanted.Shape.IsPerToken ? geometry.Region.FirstToken : 0;
        var firstHead = wanted.FirstHead - held.FirstHead;
        for (var token = 0; token < rows; token++)
        {
            for (var head = 0; head < wanted.HeadCount; head++)
            {
                whole.Slice(((firstToken + token) * shape.RowBytes) + ((firstHead + head) * row), row).CopyTo(destination[wanted.RowOffset(head, token)..]);
            }
        }

        return result;
    }

    private static bool Streams(in EncodedHeader header, ReadOnlySpan<byte> destination) =>
        Sse.IsSupported && destination.Length >= MinStreamedBytes && !header.Has(EncodedFlags.DecodedChecksums);

    private static StripShape WholeShape(in EncodedHeader header, BlockGeometry geometry, in PlaneGeometry wanted, in SectionEntry held)
    {
        var hasTail = wanted.Shape.TailBytes != 0;
        return new StripShape(
            geometry.Layout, wanted.Layer, wanted.Shape.Kind, held.FirstHead, wanted.Shape.IsPerToken ? header.Tokens : 1,
            (hasTail ? wanted.Shape.RowBytes : wanted.Shape.Channels) * held.HeadCount,
            hasTail ? KvElement.Opaque : wanted.Shape.Element, header.FirstPosition)
        { HasGaps = header.KeptBytes > 0 };
    }

    private static DecodeResult Verify(in EncodedHeader header, in StripEntry entry, in StripTarget rows, in StripShape shape)
    {
        if (!header.Has(EncodedFlags.DecodedChecksums))
        {
            return DecodeResult.Ok;
        }

        var checksum = 0u;
        for (var token = 0; token < shape.Tokens; token++)
        {
            checksum = Crc32C.Append(checksum, rows.Row(token));
        }

        return checksum == entry.DecodedChecksum ? DecodeResult.Ok : DecodeResult.BadChecksum;
    }
}
