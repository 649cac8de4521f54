using System.Buffers.Binary;
using KvMesh.Codecs.Layouts;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Codecs.Blocks;

/// <summary>Encodes a block, or a part of one by layers or heads. Allocates nothing once the scratch is warm.</summary>
public static class BlockEncoder
{
    /// <summary>Most bytes that a part of a block takes, header included.</summary>
    public static int MaxBytes(KvCodec codec, BlockGeometry geometry)
    {
        long bytes = HeaderBytes(codec, geometry, KeptTokens.MaxBytes(geometry.Region.TokenCount));
        for (var plane = 0; plane < geometry.Planes.Length; plane++)
        {
            bytes += MaxSectionBytes(codec, geometry, plane);
        }

        return checked((int)bytes);
    }

    /// <summary>Most bytes of the section of one tensor.</summary>
    public static int MaxSectionBytes(KvCodec codec, BlockGeometry geometry, int planeIndex)
    {
        var strips = new PlaneStrips(codec, geometry, planeIndex, firstPosition: 0);
        long bytes = 0;
        for (var strip = 0; strip < strips.Count; strip++)
        {
            bytes += MaxStripBytes(codec, strips.Shape(strip), strips.IsCoded) + (StripEntry.Bytes * (codec.Refinements + 1));
        }

        return checked((int)bytes);
    }

    /// <summary>Encodes a part that begins with its block's first token.</summary>
    /// <param name="codec">How.</param>
    /// <param name="geometry">Where everything lies in <paramref name="block"/>.</param>
    /// <param name="block">Exactly the bytes of the geometry.</param>
    /// <param name="firstPosition">Position of the block's first token in its sequence; from it follows which tokens are sinks.</param>
    /// <param name="options">What else is wanted.</param>
    /// <param name="destination">At least <see cref="MaxBytes"/>.</param>
    /// <param name="scratch">Working memory of this thread.</param>
    /// <returns>Bytes written.</returns>
    /// <exception cref="ArgumentException">The part does not begin with its block, or a length is wrong.</exception>
    public static int Encode(
        KvCodec codec, BlockGeometry geometry, ReadOnlySpan<byte> block, long firstPosition, in EncodeOptions options, Span<byte> destination, CodecScratch scratch)
    {
        Check(codec, geometry, block, firstPosition, destination);
        var kept = WriteKept(codec, geometry, options, destination);
        var entries = destination[EntriesOffset(codec, kept)..];
        var at = HeaderBytes(codec, geometry, kept);
        for (var index = 0; index < geometry.Planes.Length; index++)
        {
            var length = EncodeSection(codec, geometry, index, block, firstPosition, options, destination[at..], scratch);
            var plane = geometry.Planes[index];
            var checksum = Crc32C.Compute(destination.Slice(at, length));
            new SectionEntry(plane.Layer, plane.Shape.Kind, plane.FirstHead, plane.HeadCount, at, length, checksum).Write(entries[(index * SectionEntry.Bytes)..]);
            at += length;
        }

        at = RefinementWriter.Spread(codec, geometry, firstPosition, options, EntriesOffset(codec, kept), at, destination, scratch);
        Complete(codec, geometry, block, firstPosition, options, kept, destination[..at], scratch);
        return at;
    }

    /// <summary>Encodes one tensor of a part, so that callers can do several at once. <see cref="Encode"/> is this for all of them.</summary>
    /// <returns>Bytes written, at most <see cref="MaxSectionBytes"/>.</returns>
    public static int EncodeSection(
        KvCodec codec, BlockGeometry geometry, int planeIndex, ReadOnlySpan<byte> block, long firstPosition, in EncodeOptions options,
        Span<byte> destination, CodecScratch scratch)
    {
        var strips = new PlaneStrips(codec, geometry, planeIndex, firstPosition, !options.KeptOffsets.IsEmpty);
        var at = strips.Count * StripEntry.Bytes;
        var isFinite = strips.IsCoded && !codec.IsLossless && strips.AllFinite(block, scratch.Level);
        for (var strip = 0; strip < strips.Count; strip++)
        {
            var shape = strips.Shape(strip);
            var raw = strips.IsCoded ? RawTokens.Of(codec, shape.Tokens, options.SinkPosition(firstPosition), options.RawTail) : new RawTokens(0, shape.Tokens);
            var rows = block[strips.Offset(strip)..];
            var stride = strips.Stride;
            if (strips.IsScattered)
            {
                var gathered = scratch.Rent(FrameSlot.Target, shape.Bytes);
                strips.Gather(block, gathered);
                rows = gathered;
                stride = shape.RowBytes;
            }

            var entry = StripFrame.Encode(codec, shape, raw, rows, stride, destination[at..], scratch, isFinite);
            if (options.RecordsDecodedChecksums)
            {
                entry = entry with { DecodedChecksum = DecodedChecksum(codec, shape, raw, entry, destination.Slice(at, entry.Length), scratch) };
            }

            entry.Write(destination[(strip * StripEntry.Bytes)..]);
            at += entry.Length;
        }

        return at;
    }

    /// <exception cref="ArgumentException">The part does not begin with its block, or a length is wrong.</exception>
    internal static void Check(KvCodec codec, BlockGeometry geometry, ReadOnlySpan<byte> block, long firstPosition, ReadOnlySpan<byte> destination)
    {
        if (geometry.Region.FirstToken != 0 || block.Length != geometry.Bytes)
        {
            throw new ArgumentException($"a part of {geometry.Bytes} bytes from token {geometry.Region.FirstToken} on is given as {block.Length}; it must begin at 0.");
        }

        ArgumentOutOfRangeException.ThrowIfNegative(firstPosition);
        var most = MaxBytes(codec, geometry);
        if (destination.Length < most)
        {
            throw new ArgumentException($"{destination.Length} bytes are given to encode into; {most} may be needed.", nameof(destination));
        }
    }

    /// <summary>Writes the header of a block whose sections and their entries are there, and what measuring finds.</summary>
    internal static void Complete(
        KvCodec codec, BlockGeometry geometry, ReadOnlySpan<byte> block, long firstPosition, in EncodeOptions options, int keptBytes,
        Span<byte> encoded, CodecScratch scratch)
    {
        var header = Describe(codec, geometry, firstPosition, options, encoded.Length) with { KeptBytes = keptBytes };
        header = keptBytes > 0 ? header with { Flags = header.Flags | EncodedFlags.KeptTokens } : header;
        Finish(codec, geometry, header, encoded);
        if (options.ProbedHeads > 0 && !codec.IsLossless)
        {
            var error = ErrorProbe.Measure(codec, geometry, block, encoded, options.ProbedHeads, scratch);
            Finish(codec, geometry, header with { Error = error, Flags = header.Flags | EncodedFlags.Measured }, encoded);
        }
    }

    /// <summary>Writes the list of kept tokens to its place and returns its bytes.</summary>
    internal static int WriteKept(KvCodec codec, BlockGeometry geometry, in EncodeOptions options, Span<byte> destination)
    {
        if (options.KeptOffsets.IsEmpty)
        {
            return 0;
        }

        KeptTokens.Validate(options.KeptOffsets.Span, geometry.Region.TokenCount);
        return KeptTokens.Write(options.KeptOffsets.Span, destination[(EncodedHeader.FixedBytes + codec.Parameters.Length)..]);
    }

    internal static int HeaderBytes(KvCodec codec, BlockGeometry geometry, int keptBytes) =>
        EntriesOffset(codec, keptBytes) + (geometry.Planes.Length * (codec.Refinements + 1) * SectionEntry.Bytes) + sizeof(uint);

    internal static int EntriesOffset(KvCodec codec, int keptBytes) => EncodedHeader.FixedBytes + codec.Parameters.Length + keptBytes;

    /// <summary>Where a block begins and how long its raw tail is to be is not known yet, so the dearest case counts.</summary>
    private static int MaxStripBytes(KvCodec codec, in StripShape shape, bool isCoded)
    {
        var tokens = shape.Tokens - (shape.Tokens % codec.TokenMultiple);
        if (!isCoded || tokens == 0)
        {
            return shape.Bytes;
        }

        var sinks = RawTokens.SinkTokens * shape.RowBytes;
        var whole = codec.MaxStripBytes(shape with { Tokens = tokens }) + ((shape.Tokens - tokens) * shape.RowBytes);
        return sinks + Math.Max(whole, shape.Bytes + codec.MaxStripBytes(shape with { Tokens = codec.TokenMultiple }));
    }

    internal static uint DecodedChecksum(
        KvCodec codec, in StripShape shape, RawTokens raw, in StripEntry entry, ReadOnlySpan<byte> encoded, CodecScratch scratch, int? refinements = null)
    {
        var rows = scratch.Rent(FrameSlot.Target, shape.Bytes);
        return StripFrame.TryDecode(codec, shape, raw, entry, encoded, rows, shape.RowBytes, scratch, refinements: refinements)
            ? Crc32C.Compute(rows)
            : throw new InvalidOperationException($"{codec.Name} cannot read what it wrote for layer {shape.Layer}, {shape.Kind} of head {shape.Head}.");
    }

    private static EncodedHeader Describe(KvCodec codec, BlockGeometry geometry, long firstPosition, in EncodeOptions options, int totalBytes) => new()
    {
        Flags = (codec.IsLossless ? EncodedFlags.Lossless : 0)
            | (options.RecordsDecodedChecksums ? EncodedFlags.DecodedChecksums : 0)
            | (codec.JoinsHeads ? EncodedFlags.JoinedHeads : 0),
        Codec = codec.Id,
        CodecVersion = codec.Version,
        ParametersHash = EncodedHeader.HashOf(codec.Parameters.Span),
        ParameterBytes = codec.Parameters.Length,
        SectionCount = geometry.Planes.Length * (codec.Refinements + 1),
        Refinements = codec.Refinements,
        TotalBytes = totalBytes,
        Tokens = geometry.Region.TokenCount,
        FirstPosition = firstPosition,
        Raw = RawTokens.Of(codec, geometry.Region.TokenCount, options.SinkPosition(firstPosition), options.RawTail),
        Error = codec.IsLossless ? MeasuredError.None : MeasuredError.Unknown,
    };

    private static void Finish(KvCodec codec, BlockGeometry geometry, in EncodedHeader header, Span<byte> destination)
    {
        header.Write(destination, geometry.Layout.Hash);
        codec.Parameters.Span.CopyTo(destination[EncodedHeader.FixedBytes..]);
        var summed = header.HeaderBytes - sizeof(uint);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[summed..], Crc32C.Compute(destination[..summed]));
    }
}
