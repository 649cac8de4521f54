using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Bases;

/// <summary>Which head a basis is of.</summary>
/// <param name="Layer">The layer.</param>
/// <param name="Kind">Keys, values or a latent.</param>
/// <param name="Head">The head, counted in the whole model.</param>
/// <param name="Channels">Elements of its rows.</param>
public readonly record struct BasisKey(int Layer, PlaneKind Kind, int Head, int Channels);

/// <summary>
/// Bases of the heads of a model, which its encoded blocks name by the SHA-256 of the stored form: who does not have them reads no such block. Stored
/// are u32 "KVB1", u32 bases, and for each u16 layer, u8 kind, u8 0, u16 head, u16 channels, means as halves, variances as singles, vectors as halves.
/// Immutable.
/// </summary>
public sealed class ModelBases
{
    /// <summary>Bytes of the hash.</summary>
    public const int HashBytes = SHA256.HashSizeInBytes;

    /// <summary>Most channels of a head: its vectors are this number squared.</summary>
    public const int MostChannels = 1024;

    private const uint Magic = 0x3142_564B;
    private const int HeadBytes = 8;

    private readonly Dictionary<BasisKey, HeadBasis> _bases = [];
    private readonly byte[] _hash;

    private ModelBases(byte[] stored)
    {
        Stored = stored;
        _hash = SHA256.HashData(stored);
    }

    /// <summary>The stored form.</summary>
    public ReadOnlyMemory<byte> Stored { get; }

    /// <summary>Its SHA-256.</summary>
    public ReadOnlySpan<byte> Hash => _hash;

    public IReadOnlyCollection<BasisKey> Keys => _bases.Keys;

    /// <summary>The basis of a head; null when there is none.</summary>
    public HeadBasis? Find(in BasisKey key) => _bases.GetValueOrDefault(key);

    /// <summary>Reads a stored form that nobody vouches for.</summary>
    /// <returns>False when it is cut, has more behind it, or holds what is no finite number.</returns>
    public static bool TryRead(ReadOnlySpan<byte> source, [NotNullWhen(true)] out ModelBases? bases)
    {
        bases = null;
        if (source.Length < HeadBytes || BinaryPrimitives.ReadUInt32LittleEndian(source) != Magic)
        {
            return false;
        }

        var count = BinaryPrimitives.ReadUInt32LittleEndian(source[sizeof(uint)..]);
        var read = new ModelBases(source.ToArray());
        source = source[HeadBytes..];
        for (; count > 0; count--)
        {
            if (!TryReadOne(ref source, out var key, out var basis) || !read._bases.TryAdd(key, basis))
            {
                return false;
            }
        }

        bases = read;
        return source.IsEmpty;
    }

    /// <summary>Bases as they are once stored: numbers are those of halves.</summary>
    internal static ModelBases Of(IEnumerable<(BasisKey Key, HeadBasis Basis)> made)
    {
        var all = made.ToArray();
        var stored = new byte[HeadBytes + all.Sum(one => BytesOf(one.Key.Channels))];
        BinaryPrimitives.WriteUInt32LittleEndian(stored, Magic);
        BinaryPrimitives.WriteInt32LittleEndian(stored.AsSpan(sizeof(uint)), all.Length);
        var at = HeadBytes;
        foreach (var (key, basis) in all)
        {
            Write(key, basis, stored.AsSpan(at));
            at += BytesOf(key.Channels);
        }

        return TryRead(stored, out var bases) ? bases : throw new ArgumentException("a basis is given twice, or holds numbers that a half cannot say.", nameof(made));
    }

    private static int BytesOf(int channels) => HeadBytes + (channels * (sizeof(ushort) + sizeof(float))) + (channels * channels * sizeof(ushort));

    private static void Write(in BasisKey key, HeadBasis basis, Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(destination, (ushort)key.Layer);
        destination[2] = (byte)key.Kind;
        destination[3] = 0;
        BinaryPrimitives.WriteUInt16LittleEndian(destination[4..], (ushort)key.Head);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[6..], (ushort)key.Channels);
        destination = destination[HeadBytes..];
        WriteHalves(basis.Mean, ref destination);
        MemoryMarshal.AsBytes(basis.Variances).CopyTo(destination);
        destination = destination[(key.Channels * sizeof(float))..];
        for (var vector = 0; vector < key.Channels; vector++)
        {
            WriteHalves(basis.Vector(vector), ref destination);
        }
    }

    private static void WriteHalves(ReadOnlySpan<float> numbers, ref Span<byte> destination)
    {
        Fp16.FromSingle(numbers, MemoryMarshal.Cast<byte, ushort>(destination[..(numbers.Length * sizeof(ushort))]), SimdLevel.Scalar);
        destination = destination[(numbers.Length * sizeof(ushort))..];
    }

    private static bool TryReadOne(ref ReadOnlySpan<byte> source, out BasisKey key, [NotNullWhen(true)] out HeadBasis? basis)
    {
        key = default;
        basis = null;
        if (source.Length < HeadBytes)
        {
            return false;
        }

        key = new BasisKey(
            BinaryPrimitives.ReadUInt16LittleEndian(source), (PlaneKind)source[2], BinaryPrimitives.ReadUInt16LittleEndian(source[4..]),
            BinaryPrimitives.ReadUInt16LittleEndian(source[6..]));
        if (key.Channels is 0 or > MostChannels || source.Length < BytesOf(key.Channels))
        {
            return false;
        }

        var numbers = source[HeadBytes..BytesOf(key.Channels)];
        source = source[BytesOf(key.Channels)..];
        var meanBytes = key.Channels * sizeof(ushort);
        var variances = MemoryMarshal.Cast<byte, float>(numbers.Slice(meanBytes, key.Channels * sizeof(float))).ToArray();
        var vectors = numbers[(meanBytes + (key.Channels * sizeof(float)))..];
        var areFinite = FiniteScan.AllFinite(KvElement.Float16, numbers[..meanBytes], SimdLevel.Scalar) && FiniteScan.AllFinite(KvElement.Float16, vectors, SimdLevel.Scalar)
            && Array.TrueForAll(variances, variance => float.IsFinite(variance) && variance >= 0);
        basis = new HeadBasis(Halves(numbers[..meanBytes]), Halves(vectors), variances);
        return areFinite;
    }

    private static float[] Halves(ReadOnlySpan<byte> stored)
    {
        var numbers = new float[stored.Length / sizeof(ushort)];
        Fp16.ToSingle(MemoryMarshal.Cast<byte, ushort>(stored), numbers, SimdLevel.Scalar);
        return numbers;
    }
}
