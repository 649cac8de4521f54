using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace KvMesh.Codecs.Numerics;

/// <summary>Two to sixteen levels that numbers become, ascending. A number goes to the nearest; on a border, to the lower.</summary>
internal sealed class LevelTable
{
    public const int MostLevels = 16;

    private readonly float[] _levels;
    private readonly float[] _borders;
    private readonly Vector256<float> _low;
    private readonly Vector256<float> _high;

    /// <exception cref="ArgumentException">They are not a power of two from 2 to 16, not finite, or do not ascend.</exception>
    public LevelTable(ReadOnlySpan<float> levels)
    {
        if (!AreValid(levels))
        {
            throw new ArgumentException($"{levels.Length} levels: there must be 2, 4, 8 or 16, finite and ascending.", nameof(levels));
        }

        _levels = levels.ToArray();
        _borders = new float[levels.Length - 1];
        for (var border = 0; border < _borders.Length; border++)
        {
            _borders[border] = (levels[border] + levels[border + 1]) / 2;
        }

        Span<float> padded = stackalloc float[MostLevels];
        padded.Clear();
        levels.CopyTo(padded);
        _low = Vector256.Create<float>(padded[..8]);
        _high = Vector256.Create<float>(padded[8..]);
    }

    public ReadOnlySpan<float> Levels => _levels;

    /// <summary>Bits of a code.</summary>
    public int Bits => int.Log2(_levels.Length);

    public static bool AreValid(ReadOnlySpan<float> levels)
    {
        if (levels.Length is < 2 or > MostLevels || !int.IsPow2(levels.Length))
        {
            return false;
        }

        for (var level = 0; level < levels.Length; level++)
        {
            if (!float.IsFinite(levels[level]) || (level > 0 && !(levels[level] > levels[level - 1])))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>The code of each number.</summary>
    public void Encode(ReadOnlySpan<float> values, Span<byte> codes, SimdLevel level)
    {
        codes = codes[..values.Length];
        var at = 0;
        if (level >= SimdLevel.Vector256)
        {
            for (; at + Vector256<byte>.Count <= values.Length; at += Vector256<byte>.Count)
            {
                Lanes.ToBytes(Codes(values, at), Codes(values, at + 8), Codes(values, at + 16), Codes(values, at + 24)).CopyTo(codes[at..]);
            }
        }

        for (; at < values.Length; at++)
        {
            var code = 0;
            foreach (var border in _borders)
            {
                code += values[at] > border ? 1 : 0;
            }

            codes[at] = (byte)code;
        }
    }

    /// <summary>The level of each code; codes are below the number of levels.</summary>
    public void Decode(ReadOnlySpan<byte> codes, Span<float> values, SimdLevel level)
    {
        codes = codes[..values.Length];
        var at = 0;
        if (level >= SimdLevel.Vector256)
        {
            ref var read = ref MemoryMarshal.GetReference(codes);
            for (; at + Vector256<float>.Count <= values.Length; at += Vector256<float>.Count)
            {
                var index = Avx2.ConvertToVector256Int32(Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref read, at))).AsByte());
                var low = Avx2.PermuteVar8x32(_low, index);
                var high = Avx2.PermuteVar8x32(_high, index);
                Avx.BlendVariable(low, high, (index << 28).AsSingle()).CopyTo(values[at..]);
            }
        }

        for (; at < values.Length; at++)
        {
            values[at] = _levels[codes[at]];
        }
    }

    private Vector256<int> Codes(ReadOnlySpan<float> values, int at)
    {
        var value = Vector256.Create(values.Slice(at, 8));
        var code = Vector256<int>.Zero;
        foreach (var border in _borders)
        {
            code -= Avx.CompareGreaterThan(value, Vector256.Create(border)).AsInt32();
        }

        return code;
    }
}
