namespace KvMesh.Codecs.Blocks;

/// <summary>
/// What surrounds a codec in every strip: the rows that stay raw, first the leading and then the trailing ones, and behind them what the
/// codec wrote. A strip that the codec cannot code, or not in fewer bytes, is stored as all its rows.
/// </summary>
internal static class StripFrame
{
    /// <summary>Writes one strip. <see cref="BlockEncoder.MaxSectionBytes"/> says how much room that takes. Rows that are known to be finite are not looked through.</summary>
    public static StripEntry Encode(
        KvCodec codec, in StripShape whole, RawTokens raw, ReadOnlySpan<byte> rows, int stride, Span<byte> destination, CodecScratch scratch,
        bool isFinite = false)
    {
        var all = new StripSource(rows, whole, stride);
        if (raw.Rows < whole.Tokens)
        {
            var at = CopyRows(all, 0, raw.Leading, destination, whole.RowBytes);
            at += CopyRows(all, whole.Tokens - raw.Trailing, raw.Trailing, destination[at..], whole.RowBytes);
            var coded = CodedShape(whole, raw);
            var source = raw.Leading == 0 ? new StripSource(rows, coded, stride) : WithoutLeading(all, coded, raw.Leading, scratch);
            var written = codec.IsLossless || isFinite || source.AllFinite(coded.Tokens, scratch.Level)
                ? codec.Encode(coded, source, destination[at..], scratch)
                : KvCodec.NotCoded;
            if (written >= 0 && (at + written <= whole.Bytes))
            {
                return new StripEntry(at + written, IsRaw: false, 0);
            }
        }

        CopyRows(all, 0, whole.Tokens, destination, whole.RowBytes);
        return new StripEntry(whole.Bytes, IsRaw: true, 0);
    }

    /// <summary>Reads one strip into all of its rows. It ends behind so many refinements; behind all of them unless told otherwise.</summary>
    public static bool TryDecode(
        KvCodec codec, in StripShape whole, RawTokens raw, in StripEntry entry, ReadOnlySpan<byte> source, Span<byte> rows, int stride, CodecScratch scratch,
        bool streams = false, int? refinements = null)
    {
        var all = new StripTarget(rows, whole, stride);
        if (entry.IsRaw)
        {
            return source.Length == whole.Bytes && WriteRows(source, all, 0, whole.Tokens, whole.RowBytes) == source.Length;
        }

        if (raw.Rows >= whole.Tokens || source.Length < raw.Rows * whole.RowBytes)
        {
            return false;
        }

        var coded = CodedShape(whole, raw);
        var written = source[(raw.Rows * whole.RowBytes)..];
        if (!codec.TryDecodeRefined(coded, written, refinements ?? codec.Refinements, new StripTarget(rows, coded, stride, streams), scratch))
        {
            return false;
        }

        var at = WriteRows(source, all, 0, raw.Leading, whole.RowBytes);
        WriteRows(source[at..], all, whole.Tokens - raw.Trailing, raw.Trailing, whole.RowBytes);
        return true;
    }

    private static StripShape CodedShape(in StripShape whole, RawTokens raw) => whole with { Tokens = raw.Coded(whole.Tokens) };

    /// <summary>The coded rows with the leading ones replaced by the first that is not, so that they take no part in ranges and scales.</summary>
    private static StripSource WithoutLeading(in StripSource all, in StripShape coded, int leading, CodecScratch scratch)
    {
        var copy = scratch.Rent(FrameSlot.Source, coded.Bytes);
        for (var token = 0; token < coded.Tokens; token++)
        {
            all.Row(Math.Max(token, leading)).CopyTo(copy[(token * coded.RowBytes)..]);
        }

        return new StripSource(copy, coded, coded.RowBytes);
    }

    private static int CopyRows(in StripSource source, int first, int count, Span<byte> destination, int rowBytes)
    {
        for (var row = 0; row < count; row++)
        {
            source.Row(first + row).CopyTo(destination[(row * rowBytes)..]);
        }

        return count * rowBytes;
    }

    private static int WriteRows(ReadOnlySpan<byte> source, in StripTarget target, int first, int count, int rowBytes)
    {
        for (var row = 0; row < count; row++)
        {
            source.Slice(row * rowBytes, rowBytes).CopyTo(target.Row(first + row));
        }

        return count * rowBytes;
    }
}
