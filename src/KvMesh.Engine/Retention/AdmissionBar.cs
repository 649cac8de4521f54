namespace KvMesh.Engine.Retention;

/// <summary>
/// What a tier below memory takes and keeps when it is full: a block that is likelier to be used again than those that were given up for good lately. Any thread; of
/// two changes at the same moment one may be lost, since a mean of a thousand has no use for it.
/// </summary>
public sealed class AdmissionBar
{
    /// <summary>Weight of the newest in the mean.</summary>
    private const double WeightOfNewest = 1.0 / 1024;

    /// <summary>A copy that is already there is written anew if so many times as many uses are expected as of those that went: a write again costs as much as the first.</summary>
    private const double KeptAbove = 3;

    /// <summary>
    /// A tier of which is not known how full it is takes what has at least this part of the uses that are expected of those that went: to compute a block anew costs
    /// many times as much as to write it.
    /// </summary>
    private const double WrittenAbove = 0.25;

    private double _mean = double.NaN;

    /// <summary>Whether a block is worth its place in a full tier.</summary>
    /// <param name="expectedUses">Uses that the policy expects of it (<see cref="IRetentionPolicy{T}.ExpectedUses"/>).</param>
    public bool Takes(double expectedUses) => !(expectedUses < Volatile.Read(ref _mean));

    /// <summary>Whether a block whose place in a full tier is given up is worth another there.</summary>
    /// <param name="expectedUses">Uses that the policy expects of it.</param>
    public bool Keeps(double expectedUses) => expectedUses > KeptAbove * Volatile.Read(ref _mean);

    /// <summary>Whether a block is worth being written to a tier of which is not known how full it is.</summary>
    /// <param name="expectedUses">Uses that the policy expects of it.</param>
    public bool IsWorthAWrite(double expectedUses) => !(expectedUses < WrittenAbove * Volatile.Read(ref _mean));

    /// <summary>A block that was in no other tier was given up.</summary>
    /// <param name="expectedUses">Uses that the policy expected of it.</param>
    public void NoteLeft(double expectedUses)
    {
        var mean = Volatile.Read(ref _mean);
        Volatile.Write(ref _mean, double.IsNaN(mean) ? expectedUses : mean + (WeightOfNewest * (expectedUses - mean)));
    }
}
