using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using KvMesh.Codecs.Layouts;

namespace KvMesh.Codecs.Numerics;

/// <summary>
/// Turns keys to their positions and back. Sines come from additions and multiplications only, so that they are the same bits on every
/// machine. Turning back and forth costs less than the rounding of the keys themselves.
/// </summary>
internal sealed class KeyRotation(RopeSpec rope)
{
    private readonly double[] _frequencies = rope.Frequencies();
    private readonly float _scale = (float)rope.KeyScale;
    private readonly float _inverseScale = (float)(1 / rope.KeyScale);

    /// <summary>Pairs of channels that turn.</summary>
    public int Pairs => _frequencies.Length;

    /// <summary>Singles of a table of so many tokens.</summary>
    public int TableLength(int tokens) => tokens * 2 * Pairs;

    /// <summary>For each token the cosines of all pairs and then their sines.</summary>
    public void FillTable(long firstPosition, int tokens, Span<float> table)
    {
        for (var token = 0; token < tokens; token++)
        {
            var row = table.Slice(token * 2 * Pairs, 2 * Pairs);
            for (var pair = 0; pair < Pairs; pair++)
            {
                var (sine, cosine) = SineCosine.Of((firstPosition + token) * _frequencies[pair]);
                row[pair] = (float)cosine;
                row[Pairs + pair] = (float)sine;
            }
        }
    }

    /// <summary>Turns rows to their positions, or back.</summary>
    /// <param name="rows">Rows of consecutive tokens, one after the other.</param>
    /// <param name="channels">Singles of a row; those behind the rotating ones stay.</param>
    /// <param name="table">Of <see cref="FillTable"/>, beginning with the first row's token.</param>
    /// <param name="back">From rotated keys to ones without a position.</param>
    /// <param name="level">Instructions to use.</param>
    public void Turn(Span<float> rows, int channels, ReadOnlySpan<float> table, bool back, SimdLevel level)
    {
        for (var token = 0; token * channels < rows.Length; token++)
        {
            var row = rows.Slice(token * channels, 2 * Pairs);
            var cosines = table.Slice(token * 2 * Pairs, Pairs);
            var sines = table.Slice((token * 2 * Pairs) + Pairs, Pairs);
            if (rope.Style == RopeStyle.Half)
            {
                TurnHalves(row[..Pairs], row[Pairs..], cosines, sines, back, level);
            }
            else
            {
                TurnNeighbours(row, cosines, sines, back);
            }

            if (_scale != 1)
            {
                Scaling.Multiply(row, back ? _inverseScale : _scale, level);
            }
        }
    }

    private static void TurnHalves(Span<float> first, Span<float> second, ReadOnlySpan<float> cosines, ReadOnlySpan<float> sines, bool back, SimdLevel level)
    {
        var pair = 0;
        if (level >= SimdLevel.Vector256)
        {
            ref var left = ref MemoryMarshal.GetReference(first);
            ref var right = ref MemoryMarshal.GetReference(second);
            var sign = back ? Vector256.Create(-0f) : Vector256<float>.Zero;
            for (; pair + Vector256<float>.Count <= first.Length; pair += Vector256<float>.Count)
            {
                var at = (nuint)pair;
                var cosine = Vector256.LoadUnsafe(ref MemoryMarshal.GetReference(cosines), at);
                var sine = Vector256.LoadUnsafe(ref MemoryMarshal.GetReference(sines), at) ^ sign;
                var x = Vector256.LoadUnsafe(ref left, at);
                var y = Vector256.LoadUnsafe(ref right, at);
                ((x * cosine) - (y * sine)).StoreUnsafe(ref left, at);
                ((y * cosine) + (x * sine)).StoreUnsafe(ref right, at);
            }
        }

        for (; pair < first.Length; pair++)
        {
            var sine = back ? -sines[pair] : sines[pair];
            var (x, y) = (first[pair], second[pair]);
            first[pair] = (x * cosines[pair]) - (y * sine);
            second[pair] = (y * cosines[pair]) + (x * sine);
        }
    }

    private static void TurnNeighbours(Span<float> row, ReadOnlySpan<float> cosines, ReadOnlySpan<float> sines, bool back)
    {
        for (var pair = 0; pair < cosines.Length; pair++)
        {
            var sine = back ? -sines[pair] : sines[pair];
            var (x, y) = (row[2 * pair], row[(2 * pair) + 1]);
            row[2 * pair] = (x * cosines[pair]) - (y * sine);
            row[(2 * pair) + 1] = (y * cosines[pair]) + (x * sine);
        }
    }
}
