using System.Collections.Immutable;

namespace KvMesh.Cluster.Sequences;

/// <summary>
/// How long a sequence rested between being parked and being resumed, the last few times: what says when it will be resumed the next time. The usual rest is their
/// median, which one night among short pauses does not move.
/// </summary>
public static class RestTimes
{
    /// <summary>Rests that a head remembers.</summary>
    public const int Kept = 5;

    /// <summary>The rests with one more, in milliseconds; beyond <see cref="Kept"/> the oldest goes.</summary>
    public static ImmutableArray<uint> Add(ImmutableArray<uint> rests, long milliseconds) =>
        (rests.Length >= Kept ? rests.RemoveRange(0, rests.Length - Kept + 1) : rests).Add((uint)Math.Clamp(milliseconds, 0, uint.MaxValue));

    /// <summary>The median; of an even number the longer of the two in the middle. 0: there are none.</summary>
    public static uint Usual(ReadOnlySpan<uint> rests)
    {
        if (rests.IsEmpty)
        {
            return 0;
        }

        var sorted = rests.ToArray();
        Array.Sort(sorted);
        return sorted[sorted.Length / 2];
    }
}
