using System.Buffers.Binary;
using System.Runtime.InteropServices;
using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.EntropyCoding;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.EntropyCoded;

/// <summary>
/// A strip of <see cref="EcqCodec"/>: u8 1 when it has a table of its own, u32 numbers beyond the steps, a half for the spread of each channel, a
/// half for its mean where it is centred, the table, the stream, and the numbers beyond the steps as singles in their order.
/// </summary>
internal static class EcqStrip
{
    private const int FixedBytes = 1 + sizeof(uint);
    private const int ElementsOfAnEscape = 16;

    private const int RowsSlot = 0;
    private const int SymbolSlot = 1;
    private const int StreamSlot = 2;
    private const int SpreadSlot = 3;
    private const int MeanSlot = 4;
    private const int TableSlot = 5;

    public static int MaxBytes(in StripShape shape) =>
        FixedBytes + (2 * shape.Channels * sizeof(ushort)) + SymbolFrequencies.MaxStoredBytes + Rans.MaxBytes(shape.Elements)
        + (shape.Elements / ElementsOfAnEscape * sizeof(float));

    public static int Encode(in EcqSettings settings, in StripShape shape, in StripSource source, Span<byte> destination, CodecScratch scratch)
    {
        var rows = scratch.Rent<float>(RowsSlot, shape.Elements);
        source.ReadRows(0, shape.Tokens, rows, scratch.Level);
        if (settings.IsUnrotated)
        {
            KeyTurning.TurnBack(shape, rows, scratch);
        }

        var spreads = scratch.Rent<float>(SpreadSlot, shape.Channels);
        var means = scratch.Rent<float>(MeanSlot, shape.Channels);
        var at = FixedBytes;
        if (!Describe(settings, rows, spreads, means, destination[at..], scratch.Level))
        {
            return KvCodec.NotCoded;
        }

        at += DescriptionBytes(settings, shape);
        var symbols = scratch.Rent<byte>(SymbolSlot, shape.Elements);
        EcqSteps.Divide(rows, spreads, means, settings.Step, symbols, scratch.Level);
        Span<int> counts = stackalloc int[SymbolFrequencies.SymbolCount];
        SymbolFrequencies.Count(symbols, counts);
        var escapes = counts[EcqSteps.Escape];
        if (escapes > shape.Elements / ElementsOfAnEscape)
        {
            return KvCodec.NotCoded;
        }

        Span<ushort> frequencies = stackalloc ushort[SymbolFrequencies.SymbolCount];
        var tableBytes = ChooseTable(settings.Table, counts, frequencies, destination[at..]);
        at += tableBytes;
        var buffer = scratch.Rent<byte>(StreamSlot, Rans.MaxBytes(shape.Elements));
        var streamBytes = Rans.EncodeBackwards(symbols, frequencies, buffer, scratch.Level);
        buffer[^streamBytes..].CopyTo(destination[at..]);
        at += streamBytes;
        at += WriteEscapes(symbols, rows, destination[at..]);
        destination[0] = tableBytes > 0 ? (byte)1 : (byte)0;
        BinaryPrimitives.WriteInt32LittleEndian(destination[1..], escapes);
        return at;
    }

    public static bool TryDecode(in EcqSettings settings, in StripShape shape, ReadOnlySpan<byte> source, in StripTarget target, CodecScratch scratch)
    {
        var at = FixedBytes + DescriptionBytes(settings, shape);
        if (source.Length < at || source[0] > 1 || !FiniteScan.AllFinite(KvElement.Float16, source[FixedBytes..at], scratch.Level))
        {
            return false;
        }

        var escapes = BinaryPrimitives.ReadUInt32LittleEndian(source[1..]);
        var table = scratch.Rent<uint>(TableSlot, RansDecoder.TableLength);
        if (!TryReadTable(source[0], settings.Table, source, ref at, table))
        {
            return false;
        }

        var escapeBytes = (long)escapes * sizeof(float);
        if (escapes > shape.Elements / ElementsOfAnEscape || source.Length - at < escapeBytes)
        {
            return false;
        }

        var stream = source[at..^(int)escapeBytes];
        var symbols = scratch.Rent<byte>(SymbolSlot, shape.Elements);
        var outside = MemoryMarshal.Cast<byte, float>(source[^(int)escapeBytes..]);
        if (!RansDecoder.TryDecode(stream, table, symbols, scratch.Level) || !AreEscapes(symbols, outside))
        {
            return false;
        }

        var spreads = scratch.Rent<float>(SpreadSlot, shape.Channels);
        var means = scratch.Rent<float>(MeanSlot, shape.Channels);
        ReadDescription(settings, source[FixedBytes..], spreads, means, scratch.Level);
        Write(settings, shape, symbols, spreads, means, outside, target, scratch);
        return true;
    }

    private static void Write(
        in EcqSettings settings, in StripShape shape, ReadOnlySpan<byte> symbols, ReadOnlySpan<float> steps, ReadOnlySpan<float> means,
        ReadOnlySpan<float> outside, in StripTarget target, CodecScratch scratch)
    {
        var channels = shape.Channels;
        var rows = scratch.Rent<float>(RowsSlot, settings.IsUnrotated ? shape.Elements : channels);
        for (var token = 0; token < shape.Tokens; token++)
        {
            var row = settings.IsUnrotated ? rows.Slice(token * channels, channels) : rows;
            var coded = symbols.Slice(token * channels, channels);
            EcqSteps.Multiply(coded, steps, means, row, scratch.Level);
            for (var escape = outside.IsEmpty ? -1 : coded.IndexOf(EcqSteps.Escape); escape >= 0;)
            {
                row[escape] = outside[0];
                outside = outside[1..];
                var next = coded[(escape + 1)..].IndexOf(EcqSteps.Escape);
                escape = next < 0 ? -1 : escape + 1 + next;
            }

            if (!settings.IsUnrotated)
            {
                target.WriteRow(token, row, scratch.Level);
            }
        }

        if (settings.IsUnrotated)
        {
            KeyTurning.TurnForth(shape, rows, scratch);
            target.WriteRows(0, shape.Tokens, rows, scratch.Level);
        }
    }

    public static int DescriptionBytes(in EcqSettings settings, in StripShape shape) => (settings.IsCentred ? 2 : 1) * shape.Channels * sizeof(ushort);

    /// <summary>Writes spreads and means as halves and leaves what these say; false when a half cannot say it.</summary>
    public static bool Describe(in EcqSettings settings, ReadOnlySpan<float> rows, Span<float> spreads, Span<float> means, Span<byte> destination, SimdLevel level)
    {
        means.Clear();
        var stored = MemoryMarshal.Cast<byte, ushort>(destination[..((settings.IsCentred ? 2 : 1) * spreads.Length * sizeof(ushort))]);
        if (settings.IsCentred)
        {
            ColumnMoments.Means(rows, means, level);
            Fp16.FromSingle(means, stored[spreads.Length..], level);
            Fp16.ToSingle(stored[spreads.Length..], means, level);
        }

        ColumnMoments.Spreads(rows, means, spreads, level);
        Fp16.FromSingle(spreads, stored[..spreads.Length], level);
        Fp16.ToSingle(stored[..spreads.Length], spreads, level);
        return FiniteScan.AllFinite(KvElement.Float16, MemoryMarshal.AsBytes(stored), level);
    }

    /// <summary>Reads what <see cref="Describe"/> wrote: steps of channels, and what they begin at.</summary>
    public static void ReadDescription(in EcqSettings settings, ReadOnlySpan<byte> described, Span<float> steps, Span<float> means, SimdLevel level)
    {
        var halves = MemoryMarshal.Cast<byte, ushort>(described);
        Fp16.ToSingle(halves[..steps.Length], steps, level);
        means.Clear();
        if (settings.IsCentred)
        {
            Fp16.ToSingle(halves.Slice(steps.Length, means.Length), means, level);
        }

        Scaling.Multiply(steps, settings.Step, level);
    }

    /// <summary>The built-in table, unless one of the strip's own with its bytes is less. Returns the bytes that it takes.</summary>
    public static int ChooseTable(ReadOnlySpan<ushort> builtIn, ReadOnlySpan<int> counts, Span<ushort> frequencies, Span<byte> destination)
    {
        SymbolFrequencies.Normalise(counts, frequencies);
        var own = SymbolFrequencies.Write(frequencies, destination);
        if (SymbolCost.Of(counts, builtIn) > SymbolCost.Of(counts, frequencies) + ((long)own * 8 * SymbolCost.Unit))
        {
            return own;
        }

        builtIn.CopyTo(frequencies);
        return 0;
    }

    /// <summary>The decoding table of what <see cref="ChooseTable"/> chose, and <paramref name="at"/> behind it; false when it is none.</summary>
    public static bool TryReadTable(byte isOwn, ReadOnlySpan<ushort> builtIn, ReadOnlySpan<byte> source, ref int at, Span<uint> table)
    {
        if (isOwn == 0)
        {
            RansDecoder.FillTable(builtIn, table);
            return true;
        }

        Span<ushort> own = stackalloc ushort[SymbolFrequencies.SymbolCount];
        var bytes = SymbolFrequencies.TryRead(source[at..], own);
        at += bytes;
        if (bytes > 0)
        {
            RansDecoder.FillTable(own, table);
        }

        return bytes > 0;
    }

    private static int WriteEscapes(ReadOnlySpan<byte> symbols, ReadOnlySpan<float> rows, Span<byte> destination)
    {
        var written = 0;
        for (var at = symbols.IndexOf(EcqSteps.Escape); at >= 0;)
        {
            BinaryPrimitives.WriteSingleLittleEndian(destination[written..], rows[at]);
            written += sizeof(float);
            var next = symbols[(at + 1)..].IndexOf(EcqSteps.Escape);
            at = next < 0 ? -1 : at + 1 + next;
        }

        return written;
    }

    private static bool AreEscapes(ReadOnlySpan<byte> symbols, ReadOnlySpan<float> outside)
    {
        foreach (var value in outside)
        {
            if (!float.IsFinite(value))
            {
                return false;
            }
        }

        return symbols.Count(EcqSteps.Escape) == outside.Length;
    }
}
