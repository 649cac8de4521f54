namespace KvMesh.Engine.Retention;

/// <summary>
/// What tiers below memory take and keep: what is likelier to be used again than blocks that were given up for good lately, in measures that depend on the tier. Any
/// thread; of two changes at the same moment one may be lost, which a mean of a thousand does not notice.
/// </summary>
public sealed class AdmissionBar
{
    /// <summary>A block that is expected to be used less often is not worth a write, however little else there is to write.</summary>
    public const double LeastUses = 1.0 / 256;

    /// <summary>Weight of the newest in the mean.</summary>
    private const double WeightOfNewest = 1.0 / 1024;

    /// <summary>A copy that is already there is written anew if so many times as many uses are expected as of those that went: a write again costs as much as the first.</summary>
    private const double KeptAbove = 3;

    /// <summary>
    /// A tier of which is not known how full it is takes what has at least this part of the uses that are expected of those that went: to compute a block anew costs
    /// many times as much as to write it.
    /// </summary>
    private const double WrittenAbove = 0.125;

    private double _mean;

    /// <summary>Whether a block is worth a place in a full tier.</summary>
    /// <param name="expectedUses">Uses that the policy expects of it (<see cref="IRetentionPolicy{T}.ExpectedUses"/>).</param>
    public bool Takes(double expectedUses) => expectedUses >= Math.Max(LeastUses, Volatile.Read(ref _mean));

    /// <summary>Whether a block whose place in a full tier is given up is worth another there.</summary>
    /// <param name="expectedUses">Uses that the policy expects of it.</param>
    public bool Keeps(double expectedUses) => expectedUses >= Math.Max(LeastUses, KeptAbove * Volatile.Read(ref _mean));

    /// <summary>Whether a block is worth being written to a tier of which is not known how full it is.</summary>
    /// <param name="expectedUses">Uses that the policy expects of it.</param>
    public bool IsWorthAWrite(double expectedUses) => expectedUses >= Math.Max(LeastUses, WrittenAbove * Volatile.Read(ref _mean));

    /// <summary>A block was given up that is in no other tier of this node.</summary>
    /// <param name="expectedUses">Uses that the policy expected of it.</param>
    public void NoteLeft(double expectedUses)
    {
        var mean = Volatile.Read(ref _mean);
        Volatile.Write(ref _mean, mean + (WeightOfNewest * (expectedUses - mean)));
    }
}
