using System.Buffers.Binary;
using System.Runtime.InteropServices;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.NonUniform;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Gear;

/// <summary>The farthest numbers of each channel of keys or row of values: u16 places and then values as halves, by vector, low ones first.</summary>
internal static class OutlierList
{
    public static int Bytes(in Vectors vectors) => vectors.OutlierCount * 2 * sizeof(ushort);

    /// <summary>Stores them and puts the nearest number that is left in their places; false when a half cannot say one.</summary>
    public static bool TakeOut(in Vectors vectors, Span<float> rows, int channels, Span<byte> destination, Span<float> vector)
    {
        var (step, next) = vectors.AreChannels ? (channels, 1) : (1, channels);
        var values = destination[(vectors.OutlierCount * sizeof(ushort))..];
        for (var index = 0; vectors.Apart > 0 && index < vectors.Count; index++)
        {
            for (var place = 0; place < vectors.Length; place++)
            {
                vector[place] = rows[(index * next) + (place * step)];
            }

            for (var outlier = 0; outlier < 2 * vectors.Apart; outlier++)
            {
                var place = Farthest(vector, isLow: outlier < vectors.Apart);
                var at = ((index * 2 * vectors.Apart) + outlier) * sizeof(ushort);
                var value = Fp16.FromSingle(vector[place]);
                BinaryPrimitives.WriteUInt16LittleEndian(destination[at..], (ushort)place);
                BinaryPrimitives.WriteUInt16LittleEndian(values[at..], value);
                vector[place] = float.NaN;
                if (!float.IsFinite(Fp16.ToSingle(value)))
                {
                    return false;
                }
            }

            var (least, most) = (vector[Farthest(vector, isLow: true)], vector[Farthest(vector, isLow: false)]);
            for (var place = 0; place < vectors.Length; place++)
            {
                ref var value = ref rows[(index * next) + (place * step)];
                value = value < least ? least : value > most ? most : value;
            }
        }

        return true;
    }

    public static bool TryPutBack(in Vectors vectors, Span<float> rows, int channels, ReadOnlySpan<byte> source, SimdLevel level)
    {
        var places = MemoryMarshal.Cast<byte, ushort>(source[..(vectors.OutlierCount * sizeof(ushort))]);
        var values = MemoryMarshal.Cast<byte, ushort>(source[(places.Length * sizeof(ushort))..]);
        if (!FiniteScan.AllFinite(KvElement.Float16, MemoryMarshal.AsBytes(values), level))
        {
            return false;
        }

        var (step, next) = vectors.AreChannels ? (channels, 1) : (1, channels);
        for (var outlier = 0; outlier < places.Length; outlier++)
        {
            if (places[outlier] >= vectors.Length)
            {
                return false;
            }

            rows[(outlier / (2 * vectors.Apart) * next) + (places[outlier] * step)] = Fp16.ToSingle(values[outlier]);
        }

        return true;
    }

    /// <summary>Place of the least or greatest number; those taken out are no numbers and never chosen.</summary>
    private static int Farthest(ReadOnlySpan<float> vector, bool isLow)
    {
        var found = -1;
        for (var place = 0; place < vector.Length; place++)
        {
            if (!float.IsNaN(vector[place]) && (found < 0 || (isLow ? vector[place] < vector[found] : vector[place] > vector[found])))
            {
                found = place;
            }
        }

        return found;
    }
}
