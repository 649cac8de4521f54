using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.EntropyCoding;

namespace KvMesh.Codecs.Opaque;

/// <summary>
/// One plane of bytes, by what it begins with: 0 as it is; 1 and the only byte that there is; 2, a table of frequencies and a stream; 3, u16 how far
/// back the byte lies that tells the law, u8 classes of such bytes less one, u8 the last byte of each class but the last, their tables and a stream.
/// </summary>
internal static class BytePlane
{
    private const byte AsItIs = 0;
    private const byte Constant = 1;
    private const byte OneLaw = 2;
    private const byte LawByClass = 3;

    private const int StreamSlot = 2;
    private const int TableSlot = 3;
    private const int ContextSlot = 4;
    private const int OrderedSlot = 5;
    private const int DivisionSlot = 6;
    private const int CountSlot = 7;

    /// <param name="plane">Bytes of the plane.</param>
    /// <param name="destination">At least one byte more than the plane.</param>
    /// <param name="scratch">Working memory.</param>
    /// <returns>Bytes written: at most one more than the plane.</returns>
    public static int Encode(ReadOnlySpan<byte> plane, Span<byte> destination, CodecScratch scratch)
    {
        if (plane.IsEmpty)
        {
            return Raw(plane, destination);
        }

        if (plane.IndexOfAnyExcept(plane[0]) < 0)
        {
            destination[0] = Constant;
            destination[1] = plane[0];
            return 2;
        }

        Span<int> counts = stackalloc int[SymbolFrequencies.SymbolCount];
        SymbolFrequencies.Count(plane, counts);
        var order = EarlierByte.Choose(plane, counts, scratch.Rent<int>(CountSlot, EarlierByte.CountLength), scratch.Level);
        var written = order.IsNone ? EncodeOneLaw(plane, counts, destination, scratch) : EncodeByClass(plane, order, destination, scratch);
        return written > 0 ? written : Raw(plane, destination);
    }

    public static bool TryDecode(ReadOnlySpan<byte> source, Span<byte> plane, CodecScratch scratch)
    {
        if (source.IsEmpty)
        {
            return false;
        }

        var body = source[1..];
        switch (source[0])
        {
            case AsItIs:
                return body.Length == plane.Length && body.TryCopyTo(plane);
            case Constant when body.Length == 1:
                plane.Fill(body[0]);
                return true;
            case OneLaw:
                return TryDecodeOneLaw(body, plane, scratch);
            case LawByClass:
                return TryDecodeByClass(body, plane, scratch);
            default:
                return false;
        }
    }

    private static int Raw(ReadOnlySpan<byte> plane, Span<byte> destination)
    {
        destination[0] = AsItIs;
        plane.CopyTo(destination[1..]);
        return 1 + plane.Length;
    }

    /// <summary>0 when it does not pay.</summary>
    private static int EncodeOneLaw(ReadOnlySpan<byte> plane, ReadOnlySpan<int> counts, Span<byte> destination, CodecScratch scratch)
    {
        Span<ushort> frequencies = stackalloc ushort[SymbolFrequencies.SymbolCount];
        Span<byte> table = stackalloc byte[SymbolFrequencies.MaxStoredBytes];
        SymbolFrequencies.Normalise(counts, frequencies);
        var tableBytes = SymbolFrequencies.Write(frequencies, table);
        if ((SymbolCost.Of(counts, frequencies) / (8 * SymbolCost.Unit)) + tableBytes >= plane.Length - (plane.Length / 128))
        {
            return 0;
        }

        var buffer = scratch.Rent<byte>(StreamSlot, Rans.MaxBytes(plane.Length));
        var stream = Rans.EncodeBackwards(plane, frequencies, buffer, scratch.Level);
        return Append(OneLaw, table[..tableBytes], buffer[^stream..], plane.Length, destination);
    }

    private static bool TryDecodeOneLaw(ReadOnlySpan<byte> source, Span<byte> plane, CodecScratch scratch)
    {
        Span<ushort> frequencies = stackalloc ushort[SymbolFrequencies.SymbolCount];
        var at = SymbolFrequencies.TryRead(source, frequencies);
        if (at == 0 || plane.IsEmpty)
        {
            return false;
        }

        var table = scratch.Rent<uint>(TableSlot, RansDecoder.TableLength);
        RansDecoder.FillTable(frequencies, table);
        return RansDecoder.TryDecode(source[at..], table, plane, scratch.Level);
    }

    private static int EncodeByClass(ReadOnlySpan<byte> plane, in EarlierByte earlier, Span<byte> destination, CodecScratch scratch)
    {
        var ordered = earlier.IsNeighbour ? scratch.Rent<byte>(OrderedSlot, plane.Length) : default;
        if (earlier.IsNeighbour)
        {
            LaneOrder.Spread(plane, ordered);
        }

        ReadOnlySpan<byte> symbols = earlier.IsNeighbour ? ordered : plane;
        var contexts = scratch.Rent<byte>(ContextSlot, plane.Length);
        earlier.Classify(symbols, contexts, scratch.Level);
        var counts = scratch.Rent<int>(CountSlot, earlier.Classes * SymbolFrequencies.SymbolCount);
        EarlierByte.Count(symbols, contexts, counts);
        Span<byte> head = stackalloc byte[EarlierByte.MaxHeadBytes];
        var headBytes = earlier.Write(head);
        var divisions = scratch.Rent<Rans.Division>(DivisionSlot, earlier.Classes * SymbolFrequencies.SymbolCount);
        Span<ushort> frequencies = stackalloc ushort[SymbolFrequencies.SymbolCount];
        for (var index = 0; index < earlier.Classes; index++)
        {
            EarlierByte.Law(counts, index, frequencies);
            headBytes += SymbolFrequencies.Write(frequencies, head[headBytes..]);
            Rans.FillDivisions(frequencies, divisions.Slice(index * SymbolFrequencies.SymbolCount, SymbolFrequencies.SymbolCount));
        }

        var buffer = scratch.Rent<byte>(StreamSlot, Rans.MaxBytes(plane.Length));
        var stream = Rans.EncodeBackwards(symbols, contexts, divisions, buffer, scratch.Level);
        return Append(LawByClass, head[..headBytes], buffer[^stream..], plane.Length, destination);
    }

    private static bool TryDecodeByClass(ReadOnlySpan<byte> source, Span<byte> plane, CodecScratch scratch)
    {
        if (!EarlierByte.TryRead(ref source, plane.Length, out var earlier))
        {
            return false;
        }

        var slots = scratch.Rent<uint>(TableSlot, earlier.Classes * RansDecoder.TableLength);
        Span<ushort> frequencies = stackalloc ushort[SymbolFrequencies.SymbolCount];
        for (var index = 0; index < earlier.Classes; index++)
        {
            var bytes = SymbolFrequencies.TryRead(source, frequencies);
            if (bytes == 0)
            {
                return false;
            }

            source = source[bytes..];
            RansDecoder.FillTable(frequencies, slots.Slice(index * RansDecoder.TableLength, RansDecoder.TableLength));
        }

        var symbols = earlier.IsNeighbour ? scratch.Rent<byte>(OrderedSlot, plane.Length) : plane;
        Span<uint> states = stackalloc uint[Rans.ManyLanes];
        var reader = new ContextRansReader(source, slots, plane.Length, states);
        if (!earlier.TryRead(ref reader, symbols, scratch.Rent<byte>(ContextSlot, earlier.Distance), scratch.Level))
        {
            return false;
        }

        if (earlier.IsNeighbour)
        {
            LaneOrder.Gather(symbols, plane);
        }

        return true;
    }

    private static int Append(byte kind, ReadOnlySpan<byte> head, ReadOnlySpan<byte> stream, int planeBytes, Span<byte> destination)
    {
        if (head.Length + stream.Length >= planeBytes)
        {
            return 0;
        }

        destination[0] = kind;
        head.CopyTo(destination[1..]);
        stream.CopyTo(destination[(1 + head.Length)..]);
        return 1 + head.Length + stream.Length;
    }
}
