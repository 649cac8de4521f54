using System.Globalization;

namespace KvMesh.Cluster.Loading;

/// <summary>Closed forms for one source and equal tokens: what the planner's answer comes down to, and what the literature gives.</summary>
public static class SplitPoint
{
    /// <summary>
    /// Cake (arXiv 2410.03065): tokens of a prefix that are computed from the front while the rest is loaded from the back, so that both end at one time:
    /// <c>a·m + q·m² = (N − m)·B/bw</c>.
    /// </summary>
    /// <param name="tokens">N, at least 0.</param>
    /// <param name="bytesPerToken">B, at least 0.</param>
    /// <param name="bytesPerSecond">bw, more than 0; infinite loads everything.</param>
    public static double Cake(long tokens, PrefillRate prefill, double bytesPerToken, double bytesPerSecond)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(tokens);
        ArgumentOutOfRangeException.ThrowIfNegative(bytesPerToken);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytesPerSecond);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(prefill.SecondsPerToken, nameof(prefill));
        var load = bytesPerToken / bytesPerSecond;
        var linear = prefill.SecondsPerToken + load;

        // The root of q·m² + linear·m − N·load without a difference of near numbers.
        return 2 * tokens * load / (linear + Math.Sqrt((linear * linear) + (4 * prefill.SecondsPerSquaredToken * tokens * load)));
    }

    /// <summary>
    /// KVPR (arXiv 2411.17089): tokens whose activations are sent, and their keys and values recomputed, while those of the others stream:
    /// <c>t(l) = l·D·s/bw + max(4·l·D·C/v, 2(N − l)·C·s/bw)</c>. t is convex, so its least value is found by bisection.
    /// </summary>
    public static long Kvpr(in KvprLink link)
    {
        link.Check();
        var (low, high) = (0L, link.Tokens);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (link.Seconds(middle) <= link.Seconds(middle + 1))
            {
                high = middle;
            }
            else
            {
                low = middle + 1;
            }
        }

        return low;
    }

    /// <summary>Bytes a second below which computing a whole prefix is faster than loading it (Mooncake, FAST 2025).</summary>
    public static double LeastBandwidth(long tokens, PrefillRate prefill, double bytesPerToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(tokens);
        return tokens * bytesPerToken / prefill.Seconds(0, tokens);
    }
}

/// <summary>What KVPR's form is made of, for one layer.</summary>
/// <param name="Tokens">N, at least 0.</param>
/// <param name="HiddenSize">D, at least 1.</param>
/// <param name="KeySize">C: KV heads × head dim, at least 1.</param>
/// <param name="ElementBytes">s, at least 1.</param>
/// <param name="BytesPerSecond">bw, more than 0.</param>
/// <param name="FlopsPerSecond">v, more than 0.</param>
public readonly record struct KvprLink(long Tokens, int HiddenSize, int KeySize, int ElementBytes, double BytesPerSecond, double FlopsPerSecond)
{
    /// <summary>t(l).</summary>
    public double Seconds(long recomputed) =>
        ((double)recomputed * HiddenSize * ElementBytes / BytesPerSecond)
        + Math.Max(4.0 * recomputed * HiddenSize * KeySize / FlopsPerSecond, 2.0 * (Tokens - recomputed) * KeySize * ElementBytes / BytesPerSecond);

    internal void Check()
    {
        Require(Tokens >= 0, nameof(Tokens), Tokens, "at least 0");
        Require(HiddenSize >= 1, nameof(HiddenSize), HiddenSize, "at least 1");
        Require(KeySize >= 1, nameof(KeySize), KeySize, "at least 1");
        Require(ElementBytes >= 1, nameof(ElementBytes), ElementBytes, "at least 1");
        Require(BytesPerSecond > 0, nameof(BytesPerSecond), BytesPerSecond, "more than 0");
        Require(FlopsPerSecond > 0, nameof(FlopsPerSecond), FlopsPerSecond, "more than 0");
    }

    private static void Require(bool holds, string field, object value, string allowed)
    {
        if (!holds)
        {
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture, $"{field} is {value}; it must be {allowed}."), field);
        }
    }
}
