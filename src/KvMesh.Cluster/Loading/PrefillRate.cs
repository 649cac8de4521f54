namespace KvMesh.Cluster.Loading;

/// <summary>How fast a worker computes keys and values. Each token attends to all before it, so the time of a prefix has a quadratic part.</summary>
/// <param name="SecondsPerToken">What a token costs wherever it stands; more than 0.</param>
/// <param name="SecondsPerSquaredToken">What the square of a prefix's length costs on top; 0 or more.</param>
/// <param name="SecondsPerPass">What a pass costs besides its tokens, as reading all weights; 0 or more.</param>
public readonly record struct PrefillRate(double SecondsPerToken, double SecondsPerSquaredToken, double SecondsPerPass = 0)
{
    /// <summary>Multiplications and additions of one layer for a token, in squares of the hidden size, and for a squared token, in hidden sizes (Mooncake, FAST 2025).</summary>
    private const double LinearWork = 22;

    private const double AttentionWork = 4;

    /// <summary>The rate of a model of dense layers on a machine of <paramref name="flopsPerSecond"/>.</summary>
    public static PrefillRate Of(int layers, int hiddenSize, double flopsPerSecond) => new(
        layers * LinearWork * hiddenSize * hiddenSize / flopsPerSecond, layers * AttentionWork * hiddenSize / flopsPerSecond);

    /// <summary>Seconds for the tokens from one position to another, when everything before them is there, without what the pass itself costs.</summary>
    public double Seconds(long from, long to) =>
        (SecondsPerToken * (to - from)) + (SecondsPerSquaredToken * (((double)to * to) - ((double)from * from)));
}
