using System.Buffers.Binary;
using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.EntropyCoding;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.EntropyCoded;

/// <summary>
/// A strip of <see cref="ProgressiveCodec"/>: its base and its refinements one behind the other, each u32 bytes of the part, these included. A base is
/// u8 1 when it has a table of its own, a half for the spread of each channel, for keys a half for its mean, the table, and the stream of steps. A
/// refinement is a stream of thirds.
/// </summary>
internal static class ProgressiveStrip
{
    private const int HeadBytes = sizeof(uint);
    private const int MostSteps = 127;

    private const int RowsSlot = 0;
    private const int SymbolSlot = 1;
    private const int StreamSlot = 2;
    private const int SpreadSlot = 3;
    private const int MeanSlot = 4;
    private const int TableSlot = 5;
    private const int StepSlot = 6;
    private const int ContextSlot = 7;

    public static int MaxBytes(in StripShape shape, int refinements) =>
        HeadBytes + 1 + (2 * shape.Channels * sizeof(ushort)) + SymbolFrequencies.MaxStoredBytes + Rans.MaxBytes(shape.Elements)
        + (refinements * (HeadBytes + Rans.MaxBytes(shape.Elements)));

    public static int Encode(ProgressiveTables tables, in StripShape shape, in StripSource source, Span<byte> destination, CodecScratch scratch)
    {
        var rows = scratch.Rent<float>(RowsSlot, shape.Elements);
        source.ReadRows(0, shape.Tokens, rows, scratch.Level);
        var spreads = scratch.Rent<float>(SpreadSlot, shape.Channels);
        var means = scratch.Rent<float>(MeanSlot, shape.Channels);
        var settings = Settings(tables, shape);
        var at = HeadBytes + 1;
        if (!EcqStrip.Describe(settings, rows, spreads, means, destination[at..], scratch.Level))
        {
            return KvCodec.NotCoded;
        }

        at += EcqStrip.DescriptionBytes(settings, shape);
        var steps = scratch.Rent<short>(StepSlot, shape.Elements);
        var finest = FinestParts(tables.Refinements.Length);
        Divide(rows, spreads, means, tables.Steps[^1], finest, steps);
        var symbols = scratch.Rent<byte>(SymbolSlot, shape.Elements);
        for (var index = 0; index < symbols.Length; index++)
        {
            symbols[index] = (byte)(Coarser(steps[index], finest) + NormalFrequencies.Zero);
        }

        Span<int> counts = stackalloc int[SymbolFrequencies.SymbolCount];
        Span<ushort> frequencies = stackalloc ushort[SymbolFrequencies.SymbolCount];
        SymbolFrequencies.Count(symbols, counts);
        var tableBytes = EcqStrip.ChooseTable(tables.Base, counts, frequencies, destination[at..]);
        at += tableBytes;
        destination[HeadBytes] = tableBytes > 0 ? (byte)1 : (byte)0;
        var buffer = scratch.Rent<byte>(StreamSlot, Rans.MaxBytes(shape.Elements));
        at += Append(buffer, Rans.EncodeBackwards(symbols, frequencies, buffer, scratch.Level), destination[at..]);
        BinaryPrimitives.WriteInt32LittleEndian(destination, at);
        var contexts = scratch.Rent<byte>(ContextSlot, shape.Elements);
        foreach (var law in tables.Refinements)
        {
            finest /= ProgressiveTables.Parts;
            Part(steps, finest, symbols, contexts);
            var part = destination[at..];
            var bytes = HeadBytes + Append(buffer, Rans.EncodeBackwards(symbols, contexts, law.Divisions, buffer, scratch.Level), part[HeadBytes..]);
            BinaryPrimitives.WriteInt32LittleEndian(part, bytes);
            at += bytes;
        }

        return at;
    }

    /// <summary>Bytes of the base and of each refinement of a strip that was written here.</summary>
    public static void Measure(ReadOnlySpan<byte> strip, Span<int> parts)
    {
        foreach (ref var part in parts)
        {
            part = BinaryPrimitives.ReadInt32LittleEndian(strip);
            strip = strip[part..];
        }
    }

    /// <summary>Reads a strip that ends behind so many refinements.</summary>
    public static bool TryDecode(
        ProgressiveTables tables, in StripShape shape, ReadOnlySpan<byte> source, int refinements, in StripTarget target, CodecScratch scratch)
    {
        var settings = Settings(tables, shape);
        var steps = scratch.Rent<short>(StepSlot, shape.Elements);
        var symbols = scratch.Rent<byte>(SymbolSlot, shape.Elements);
        if (!TryTake(ref source, out var part) || !TryReadBase(settings, shape, part, symbols, out var described, scratch))
        {
            return false;
        }

        for (var index = 0; index < steps.Length; index++)
        {
            steps[index] = (short)(symbols[index] - NormalFrequencies.Zero);
        }

        for (var refinement = 0; refinement < refinements; refinement++)
        {
            if (!TryTake(ref source, out part) || !TryRefine(tables.Refinements[refinement], part, steps, symbols, scratch))
            {
                return false;
            }
        }

        if (!source.IsEmpty)
        {
            return false;
        }

        Write(settings with { Step = tables.Steps[refinements] }, shape, steps, described, target, scratch);
        return true;
    }

    private static EcqSettings Settings(ProgressiveTables tables, in StripShape shape) =>
        new(tables.Steps[0], tables.Base, IsCentred: shape.Kind == PlaneKind.Key, IsUnrotated: false);

    /// <summary>How many of the finest steps make one of the base.</summary>
    private static int FinestParts(int refinements)
    {
        var parts = 1;
        for (var refinement = 0; refinement < refinements; refinement++)
        {
            parts *= ProgressiveTables.Parts;
        }

        return parts;
    }

    /// <summary>Finest steps of each number, so few that the base has a symbol for them. A channel without spread has step zero only.</summary>
    private static void Divide(ReadOnlySpan<float> rows, Span<float> spreads, ReadOnlySpan<float> means, float share, int parts, Span<short> steps)
    {
        float most = (MostSteps * parts) + (parts / 2);
        foreach (ref var spread in spreads)
        {
            spread = spread == 0 ? 0 : 1 / (spread * share);
        }

        for (var first = 0; first < rows.Length; first += spreads.Length)
        {
            for (var channel = 0; channel < spreads.Length; channel++)
            {
                var distance = MathF.Round((rows[first + channel] - means[channel]) * spreads[channel]);
                steps[first + channel] = (short)MathF.Min(MathF.Max(distance, -most), most);
            }
        }
    }

    /// <summary>The step that so many parts make one of; their number is odd, so that there is one nearest.</summary>
    private static int Coarser(int step, int parts) => (step + (step < 0 ? -(parts / 2) : parts / 2)) / parts;

    /// <summary>Which third of its step each number lies in when there are so many of the finest in it, and in what context.</summary>
    private static void Part(ReadOnlySpan<short> steps, int parts, Span<byte> symbols, Span<byte> contexts)
    {
        for (var index = 0; index < symbols.Length; index++)
        {
            var own = Coarser(steps[index], parts);
            var parent = Coarser(own, ProgressiveTables.Parts);
            var third = own - (ProgressiveTables.Parts * parent);
            symbols[index] = (byte)(1 + (parent < 0 ? -third : third));
            contexts[index] = Context(parent);
        }
    }

    private static byte Context(int step) => (byte)Math.Min(Math.Abs(step), ProgressiveTables.Contexts - 1);

    private static int Append(ReadOnlySpan<byte> buffer, int streamBytes, Span<byte> destination)
    {
        buffer[^streamBytes..].CopyTo(destination);
        return streamBytes;
    }

    /// <summary>Takes the next part off, without its length.</summary>
    private static bool TryTake(ref ReadOnlySpan<byte> source, out ReadOnlySpan<byte> part)
    {
        part = default;
        if (source.Length < HeadBytes)
        {
            return false;
        }

        var bytes = BinaryPrimitives.ReadUInt32LittleEndian(source);
        if (bytes < HeadBytes || bytes > (uint)source.Length)
        {
            return false;
        }

        part = source[HeadBytes..(int)bytes];
        source = source[(int)bytes..];
        return true;
    }

    private static bool TryReadBase(
        in EcqSettings settings, in StripShape shape, ReadOnlySpan<byte> part, Span<byte> symbols, out ReadOnlySpan<byte> described, CodecScratch scratch)
    {
        described = default;
        var at = 1 + EcqStrip.DescriptionBytes(settings, shape);
        if (part.Length < at || part[0] > 1 || !FiniteScan.AllFinite(KvElement.Float16, part[1..at], scratch.Level))
        {
            return false;
        }

        described = part[1..at];
        var table = scratch.Rent<uint>(TableSlot, RansDecoder.TableLength);
        if (!EcqStrip.TryReadTable(part[0], settings.Table, part, ref at, table))
        {
            return false;
        }

        return RansDecoder.TryDecode(part[at..], table, symbols, scratch.Level);
    }

    private static bool TryRefine(ContextTables law, ReadOnlySpan<byte> part, Span<short> steps, Span<byte> symbols, CodecScratch scratch)
    {
        var contexts = scratch.Rent<byte>(ContextSlot, steps.Length);
        for (var index = 0; index < steps.Length; index++)
        {
            contexts[index] = Context(steps[index]);
        }

        Span<uint> states = stackalloc uint[Rans.ManyLanes];
        var reader = new ContextRansReader(part, law.Slots, steps.Length, states);
        if (!reader.IsValid || !reader.TryRead(contexts, symbols, scratch.Level) || !reader.IsAtEnd)
        {
            return false;
        }

        for (var index = 0; index < steps.Length; index++)
        {
            var third = symbols[index] - 1;
            steps[index] = (short)((ProgressiveTables.Parts * steps[index]) + (steps[index] < 0 ? -third : third));
        }

        return true;
    }

    private static void Write(
        in EcqSettings settings, in StripShape shape, ReadOnlySpan<short> steps, ReadOnlySpan<byte> described, in StripTarget target, CodecScratch scratch)
    {
        var channels = shape.Channels;
        var spreads = scratch.Rent<float>(SpreadSlot, channels);
        var means = scratch.Rent<float>(MeanSlot, channels);
        EcqStrip.ReadDescription(settings, described, spreads, means, scratch.Level);
        var row = scratch.Rent<float>(RowsSlot, channels);
        for (var token = 0; token < shape.Tokens; token++)
        {
            var coded = steps.Slice(token * channels, channels);
            for (var channel = 0; channel < channels; channel++)
            {
                row[channel] = (coded[channel] * spreads[channel]) + means[channel];
            }

            target.WriteRow(token, row, scratch.Level);
        }
    }
}
