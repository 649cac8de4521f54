namespace KvMesh.Engine.FarTiers;

/// <summary>What one far tier was asked and gave, since the process started.</summary>
/// <param name="Name">"gpu", "peers" or "redis".</param>
/// <param name="Hits">Blocks that came, checked and whole.</param>
/// <param name="Misses">Blocks that it was asked for and did not hold.</param>
/// <param name="FalseHits">Of the misses: blocks that it had believed to hold.</param>
/// <param name="Failures">Blocks that it may hold but that did not come in time or whole.</param>
/// <param name="HitBytes">Payload bytes of the hits.</param>
/// <param name="Mismatches">Chunks whose bytes were not what the origin had promised. None of them left this node.</param>
/// <param name="Background">Of the hits: blocks that an order brought here.</param>
/// <param name="Promised">Blocks by which it made a prefix match longer.</param>
/// <param name="Offered">Blocks that it took when they left this node.</param>
/// <param name="OfferedBytes">Their payload bytes.</param>
public sealed record FarTierSnapshot(
    string Name, long Hits, long Misses, long FalseHits, long Failures, long HitBytes, long Mismatches, long Background, long Promised,
    long Offered, long OfferedBytes);

/// <summary>A tier with its counts. Fields are only ever added to, with <see cref="Interlocked"/>.</summary>
internal sealed class AttachedTier(IBlockTier tier)
{
    public long Hits;
    public long Misses;
    public long FalseHits;
    public long Failures;
    public long HitBytes;
    public long Mismatches;
    public long Background;
    public long Promised;
    public long Offered;
    public long OfferedBytes;

    public IBlockTier Tier => tier;

    public void Count(FetchOutcome outcome)
    {
        switch (outcome)
        {
            case FetchOutcome.NotHere:
                Interlocked.Increment(ref Misses);
                break;
            case FetchOutcome.FalseHit:
                Interlocked.Increment(ref Misses);
                Interlocked.Increment(ref FalseHits);
                break;
            case FetchOutcome.Failed:
                Interlocked.Increment(ref Failures);
                break;
        }
    }

    public void CountHit(long payloadBytes, FetchPriority priority)
    {
        Interlocked.Increment(ref Hits);
        Interlocked.Add(ref HitBytes, payloadBytes);
        if (priority == FetchPriority.Background)
        {
            Interlocked.Increment(ref Background);
        }
    }

    public FarTierSnapshot Snapshot() => new(
        tier.Name, Hits, Misses, FalseHits, Failures, HitBytes, Mismatches, Background, Promised, Offered, OfferedBytes);
}
