namespace KvMesh.Codecs.TransformCoding;

/// <summary>
/// Shares bits out among runs of components so that what is lost together is least: by dynamic programming, since what a run loses does not fall evenly
/// with its bits. Of shares that lose the same, the one with fewer bits in the last run wins.
/// </summary>
internal static class BitAllocation
{
    /// <summary>Most bits of a run's components.</summary>
    public const int MostBits = 6;

    /// <summary>Singles and bytes of memory that <see cref="Share"/> needs.</summary>
    public static (int Losses, int Choices) WorkLength(int runs, int budget) => (2 * (budget + 1), runs * (budget + 1));

    /// <param name="energies">Of each run the sum of the variances of its components.</param>
    /// <param name="losses">What share of its energy a run loses with 0, 1, … <see cref="MostBits"/> bits.</param>
    /// <param name="budget">Most bits of all runs together.</param>
    /// <param name="bits">Bits of each run.</param>
    /// <param name="lossWork">Memory, as <see cref="WorkLength"/> says.</param>
    /// <param name="choiceWork">Memory.</param>
    public static void Share(ReadOnlySpan<float> energies, ReadOnlySpan<float> losses, int budget, Span<byte> bits, Span<float> lossWork, Span<byte> choiceWork)
    {
        var width = budget + 1;
        var before = lossWork[..width];
        var after = lossWork.Slice(width, width);
        before.Clear();
        for (var run = 0; run < energies.Length; run++)
        {
            var choices = choiceWork.Slice(run * width, width);
            for (var spent = 0; spent <= budget; spent++)
            {
                after[spent] = float.PositiveInfinity;
                for (var own = 0; own <= Math.Min(MostBits, spent); own++)
                {
                    var loss = before[spent - own] + (energies[run] * losses[own]);
                    if (loss < after[spent])
                    {
                        (after[spent], choices[spent]) = (loss, (byte)own);
                    }
                }
            }

            var swap = before;
            before = after;
            after = swap;
        }

        var left = budget;
        for (var run = energies.Length - 1; run >= 0; run--)
        {
            bits[run] = choiceWork[(run * width) + left];
            left -= bits[run];
        }
    }
}
