using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Lossless;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Opaque;

/// <summary>How bytes make numbers. Append only: numbers are on disks.</summary>
internal enum WordShape : byte
{
    /// <summary>A byte each.</summary>
    Bytes = 1,

    /// <summary>Two bytes each.</summary>
    Words = 2,

    /// <summary>Two bytes each, the highest bit moved below all others: with it gone, the exponent of bfloat16 is the upper byte.</summary>
    TurnedWords = 3,

    /// <summary>Four bytes each.</summary>
    DoubleWords = 4,

    /// <summary>Four bytes each, the highest bit moved below all others: with it gone, the exponent of a single is the uppermost byte.</summary>
    TurnedDoubleWords = 5,
}

/// <summary>Takes words apart into planes of their bytes, the uppermost first, and puts them together again.</summary>
internal static class WordPlanes
{
    public const int MostPlanes = 4;

    public static int CountOf(WordShape shape) => shape switch
    {
        WordShape.Bytes => 1,
        WordShape.Words or WordShape.TurnedWords => 2,
        _ => MostPlanes,
    };

    /// <param name="shape">How bytes make numbers.</param>
    /// <param name="source">Whole words.</param>
    /// <param name="planes">As long; the planes one behind the other.</param>
    /// <param name="work">As long; what it holds is lost.</param>
    /// <param name="level">Instructions to use.</param>
    public static void Split(WordShape shape, ReadOnlySpan<byte> source, Span<byte> planes, Span<byte> work, SimdLevel level)
    {
        var half = source.Length / 2;
        switch (shape)
        {
            case WordShape.Bytes:
                source.CopyTo(planes);
                return;
            case WordShape.Words:
                BytePlanes.Split(KvElement.Float16, source, planes, planes[half..], level);
                return;
            case WordShape.TurnedWords:
                BytePlanes.Split(KvElement.BFloat16, source, planes, planes[half..], level);
                return;
            case WordShape.TurnedDoubleWords:
                Turn(MemoryMarshal.Cast<byte, uint>(source), MemoryMarshal.Cast<byte, uint>(planes), 1, level);
                BytePlanes.Split(KvElement.Float16, planes, work, work[half..], level);
                break;
            default:
                BytePlanes.Split(KvElement.Float16, source, work, work[half..], level);
                break;
        }

        // What has been split once has bytes 3 and 1 by turns in its first half, and 2 and 0 in its second.
        var quarter = half / 2;
        BytePlanes.Split(KvElement.Float16, work[..half], planes, planes[(2 * quarter)..], level);
        BytePlanes.Split(KvElement.Float16, work[half..source.Length], planes[quarter..], planes[(3 * quarter)..], level);
    }

    /// <summary>The reverse of <see cref="Split"/>.</summary>
    public static void Join(WordShape shape, ReadOnlySpan<byte> planes, Span<byte> target, Span<byte> work, SimdLevel level)
    {
        var half = target.Length / 2;
        switch (shape)
        {
            case WordShape.Bytes:
                planes.CopyTo(target);
                return;
            case WordShape.Words:
                BytePlanes.Join(KvElement.Float16, planes[..half], planes[half..], target, level);
                return;
            case WordShape.TurnedWords:
                BytePlanes.Join(KvElement.BFloat16, planes[..half], planes[half..], target, level);
                return;
        }

        var quarter = half / 2;
        BytePlanes.Join(KvElement.Float16, planes[..quarter], planes.Slice(2 * quarter, quarter), work[..half], level);
        BytePlanes.Join(KvElement.Float16, planes.Slice(quarter, quarter), planes.Slice(3 * quarter, quarter), work[half..target.Length], level);
        BytePlanes.Join(KvElement.Float16, work[..half], work[half..target.Length], target, level);
        if (shape == WordShape.TurnedDoubleWords)
        {
            var words = MemoryMarshal.Cast<byte, uint>(target);
            Turn(words, words, 31, level);
        }
    }

    private static void Turn(ReadOnlySpan<uint> words, Span<uint> turned, int bits, SimdLevel level)
    {
        var at = 0;
        if (level >= SimdLevel.Vector256)
        {
            for (; at + Vector256<uint>.Count <= words.Length; at += Vector256<uint>.Count)
            {
                var word = Vector256.Create(words.Slice(at, Vector256<uint>.Count));
                ((word << bits) | (word >>> (32 - bits))).CopyTo(turned[at..]);
            }
        }

        for (; at < words.Length; at++)
        {
            turned[at] = uint.RotateLeft(words[at], bits);
        }
    }
}
