using System.Buffers.Binary;
using System.Runtime.InteropServices;
using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.NonUniform;

/// <summary>
/// A strip of <see cref="NonUniformCodec"/>: the middles of all vectors and halves of their ranges, as halves; for each vector the places of its
/// outliers, the low ones first, a byte or a u16 each; their values as halves; codes row by row.
/// </summary>
internal static class NonUniformStrip
{
    private const int RowsSlot = 0;
    private const int VectorSlot = 1;
    private const int MiddleSlot = 2;
    private const int RangeSlot = 3;
    private const int CodeSlot = 4;

    public static bool Encode(in NonUniformSettings settings, in StripShape shape, in StripSource source, Span<byte> destination, CodecScratch scratch)
    {
        if (!CodePlanes.Fits(shape.Channels))
        {
            return false;
        }

        var rows = scratch.Rent<float>(RowsSlot, shape.Elements);
        source.ReadRows(0, shape.Tokens, rows, scratch.Level);
        if (settings.IsUnrotated)
        {
            KeyTurning.TurnBack(shape, rows, scratch);
        }

        var vectors = settings.Vectors;
        var stored = new Sections(vectors, destination);
        var middles = scratch.Rent<float>(MiddleSlot, vectors.Count);
        var inverses = scratch.Rent<float>(RangeSlot, vectors.Count);
        var vector = scratch.Rent<float>(VectorSlot, vectors.Length);
        for (var index = 0; index < vectors.Count; index++)
        {
            ReadVector(rows, shape.Channels, vectors.AreChannels, index, vector);
            var (least, most) = Separate(vector, vectors, stored, index);
            stored.Middles[index] = Fp16.FromSingle((least / 2) + (most / 2));
            stored.Ranges[index] = Fp16.FromSingle((most / 2) - (least / 2));
            middles[index] = Fp16.ToSingle(stored.Middles[index]);
            var range = Fp16.ToSingle(stored.Ranges[index]);
            inverses[index] = range == 0 ? 0 : 1 / range;
        }

        if (!FiniteScan.AllFinite(KvElement.Float16, destination[..stored.NumberBytes], scratch.Level)
            || !FiniteScan.AllFinite(KvElement.Float16, MemoryMarshal.AsBytes(stored.Outliers), scratch.Level))
        {
            return false;
        }

        WriteCodes(settings, shape, rows, middles, inverses, destination[vectors.Bytes..], scratch);
        return true;
    }

    public static bool TryDecode(in NonUniformSettings settings, in StripShape shape, ReadOnlySpan<byte> source, in StripTarget target, CodecScratch scratch)
    {
        var vectors = settings.Vectors;
        var numberBytes = 2 * vectors.Count * sizeof(ushort);
        var outlierAt = numberBytes + (vectors.OutlierCount * vectors.PlaceBytes);
        if (!CodePlanes.Fits(shape.Channels) || !FiniteScan.AllFinite(KvElement.Float16, source[..numberBytes], scratch.Level)
            || !FiniteScan.AllFinite(KvElement.Float16, source[outlierAt..vectors.Bytes], scratch.Level))
        {
            return false;
        }

        var numbers = MemoryMarshal.Cast<byte, ushort>(source[..numberBytes]);
        var middles = scratch.Rent<float>(MiddleSlot, vectors.Count);
        var ranges = scratch.Rent<float>(RangeSlot, vectors.Count);
        Fp16.ToSingle(numbers[..vectors.Count], middles, scratch.Level);
        Fp16.ToSingle(numbers[vectors.Count..], ranges, scratch.Level);
        var rows = scratch.Rent<float>(RowsSlot, shape.Elements);
        ReadCodes(settings, shape, source[vectors.Bytes..], middles, ranges, rows, scratch);
        var values = MemoryMarshal.Cast<byte, ushort>(source[outlierAt..vectors.Bytes]);
        for (var index = 0; index < vectors.OutlierCount; index++)
        {
            var places = source[numberBytes..];
            int place = vectors.PlaceBytes == 1 ? places[index] : BinaryPrimitives.ReadUInt16LittleEndian(places[(2 * index)..]);
            if (place >= vectors.Length)
            {
                return false;
            }

            var vector = index / (2 * vectors.Apart);
            rows[vectors.AreChannels ? (place * shape.Channels) + vector : (vector * shape.Channels) + place] = Fp16.ToSingle(values[index]);
        }

        if (settings.IsUnrotated)
        {
            KeyTurning.TurnForth(shape, rows, scratch);
        }

        target.WriteRows(0, shape.Tokens, rows, scratch.Level);
        return true;
    }

    private static void ReadVector(ReadOnlySpan<float> rows, int channels, bool isChannel, int index, Span<float> vector)
    {
        if (!isChannel)
        {
            rows.Slice(index * channels, channels).CopyTo(vector);
            return;
        }

        for (var token = 0; token < vector.Length; token++)
        {
            vector[token] = rows[(token * channels) + index];
        }
    }

    /// <summary>Stores the outliers of a vector and returns the extremes of what is left. Spoils the vector.</summary>
    private static (float Least, float Most) Separate(Span<float> vector, in Vectors vectors, in Sections stored, int index)
    {
        var at = index * 2 * vectors.Apart;
        for (var outlier = 0; outlier < 2 * vectors.Apart; outlier++)
        {
            var (low, high) = Ends(vector);
            var place = outlier < vectors.Apart ? low : high;
            if (place < 0)
            {
                // Turning the largest numbers back made something else of all of them, which no half can say.
                return (float.NaN, float.NaN);
            }

            stored.SetPlace(at + outlier, place);
            stored.Outliers[at + outlier] = Fp16.FromSingle(vector[place]);
            vector[place] = float.NaN;
        }

        var (least, most) = Ends(vector);
        return least < 0 || most < 0 ? (float.NaN, float.NaN) : (vector[least], vector[most]);
    }

    /// <summary>Places of the least and the greatest number; those taken out are no numbers and never chosen.</summary>
    private static (int Least, int Most) Ends(ReadOnlySpan<float> vector)
    {
        int least = -1, most = -1;
        float low = float.PositiveInfinity, high = float.NegativeInfinity;
        for (var place = 0; place < vector.Length; place++)
        {
            if (vector[place] < low)
            {
                (low, least) = (vector[place], place);
            }

            if (vector[place] > high)
            {
                (high, most) = (vector[place], place);
            }
        }

        return (least, most);
    }

    private static void WriteCodes(
        in NonUniformSettings settings, in StripShape shape, Span<float> rows, ReadOnlySpan<float> middles, ReadOnlySpan<float> inverses,
        Span<byte> destination, CodecScratch scratch)
    {
        var channels = shape.Channels;
        var codes = scratch.Rent<byte>(CodeSlot, channels);
        var rowBytes = CodePlanes.Bytes(channels, settings.Levels.Bits);
        for (var token = 0; token < shape.Tokens; token++)
        {
            var row = rows.Slice(token * channels, channels);
            if (settings.Vectors.AreChannels)
            {
                Scaling.Subtract(row, middles, scratch.Level);
                Scaling.Multiply(row, inverses, scratch.Level);
            }
            else
            {
                Scaling.Shift(row, -middles[token], scratch.Level);
                Scaling.Multiply(row, inverses[token], scratch.Level);
            }

            settings.Levels.Encode(row, codes, scratch.Level);
            CodePlanes.Pack(codes, settings.Levels.Bits, destination.Slice(token * rowBytes, rowBytes), scratch.Level);
        }
    }

    private static void ReadCodes(
        in NonUniformSettings settings, in StripShape shape, ReadOnlySpan<byte> source, ReadOnlySpan<float> middles, ReadOnlySpan<float> ranges,
        Span<float> rows, CodecScratch scratch)
    {
        var channels = shape.Channels;
        var codes = scratch.Rent<byte>(CodeSlot, channels);
        var rowBytes = CodePlanes.Bytes(channels, settings.Levels.Bits);
        for (var token = 0; token < shape.Tokens; token++)
        {
            var row = rows.Slice(token * channels, channels);
            CodePlanes.Unpack(source.Slice(token * rowBytes, rowBytes), settings.Levels.Bits, codes, scratch.Level);
            settings.Levels.Decode(codes, row, scratch.Level);
            if (settings.Vectors.AreChannels)
            {
                Scaling.Multiply(row, ranges, scratch.Level);
                Scaling.Add(row, middles, scratch.Level);
            }
            else
            {
                Scaling.Multiply(row, ranges[token], scratch.Level);
                Scaling.Shift(row, middles[token], scratch.Level);
            }
        }
    }

    /// <summary>The parts of a strip before its codes.</summary>
    private readonly ref struct Sections
    {
        private readonly Span<byte> _places;
        private readonly int _placeBytes;

        public Sections(in Vectors vectors, Span<byte> strip)
        {
            NumberBytes = 2 * vectors.Count * sizeof(ushort);
            var numbers = MemoryMarshal.Cast<byte, ushort>(strip[..NumberBytes]);
            Middles = numbers[..vectors.Count];
            Ranges = numbers[vectors.Count..];
            _placeBytes = vectors.PlaceBytes;
            _places = strip.Slice(NumberBytes, vectors.OutlierCount * _placeBytes);
            Outliers = MemoryMarshal.Cast<byte, ushort>(strip[(NumberBytes + _places.Length)..vectors.Bytes]);
        }

        public int NumberBytes { get; }

        public Span<ushort> Middles { get; }

        public Span<ushort> Ranges { get; }

        public Span<ushort> Outliers { get; }

        public void SetPlace(int outlier, int place)
        {
            if (_placeBytes == 1)
            {
                _places[outlier] = (byte)place;
            }
            else
            {
                BinaryPrimitives.WriteUInt16LittleEndian(_places[(outlier * _placeBytes)..], (ushort)place);
            }
        }
    }
}
