namespace KvMesh.Codecs.NonUniform;

/// <summary>
/// Levels for numbers between the extremes of their vector at -1 and 1, by k-means over normal vectors: what a model gets for which nobody
/// measured its own. Outliers leave the middle wider, so that there are two sets, for keys (vectors of 256 tokens) and values (128 channels).
/// </summary>
internal static class NonUniformLevels
{
    public static float[] Keys(int bits, bool hasOutliers) => Mirror((bits, hasOutliers) switch
    {
        (2, true) => [.1781f, .5921f],
        (3, true) => [.0938f, .2907f, .5136f, .8029f],
        (_, true) => [.0422f, .1275f, .2182f, .3160f, .4262f, .5528f, .7065f, .9059f],
        (2, false) => [.1656f, .5566f],
        (3, false) => [.0895f, .2768f, .4910f, .7847f],
        _ => [.0388f, .1195f, .2047f, .2975f, .4027f, .5272f, .6867f, .9048f],
    });

    public static float[] Values(int bits, bool hasOutliers) => Mirror((bits, hasOutliers) switch
    {
        (2, true) => [.1921f, .6403f],
        (3, true) => [.1008f, .3130f, .5501f, .8459f],
        (_, true) => [.0448f, .1340f, .2306f, .3351f, .4505f, .5820f, .7367f, .9330f],
        (2, false) => [.1810f, .6088f],
        (3, false) => [.0961f, .2956f, .5254f, .8323f],
        _ => [.0432f, .1299f, .2199f, .3197f, .4306f, .5592f, .7205f, .9339f],
    });

    private static float[] Mirror(ReadOnlySpan<float> positive)
    {
        var levels = new float[2 * positive.Length];
        for (var index = 0; index < positive.Length; index++)
        {
            levels[positive.Length + index] = positive[index];
            levels[positive.Length - 1 - index] = -positive[index];
        }

        return levels;
    }
}
