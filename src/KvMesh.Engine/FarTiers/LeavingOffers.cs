using KvMesh.Engine.Blocks;
using KvMesh.Engine.Host;

namespace KvMesh.Engine.FarTiers;

/// <summary>
/// Offers blocks to tiers that all nodes share before they leave this one, from the end of RAM that leaves next, ahead of need: so
/// that eviction stays a matter of memory. Blocks that still go to this node's disk are not leaving.
/// </summary>
internal sealed class LeavingOffers(FarLookup far, Func<bool> isLastStop)
{
    /// <summary>How often a step looks.</summary>
    public static readonly TimeSpan Period = TimeSpan.FromMilliseconds(50);

    private const int AheadDivisor = 16;
    private const int BlocksPerStep = 64;
    private const int DepthPerStep = 8192;

    private readonly List<Block> _candidates = [];

    /// <summary>One thread.</summary>
    public void Step(IEnumerable<HostTier> hosts)
    {
        if (far.IsStopping || !far.Tiers.Any(tier => tier.Tier.TakesOffers) || !isLastStop())
        {
            return;
        }

        foreach (var host in hosts)
        {
            if (!host.IsAtBlockLimit && host.CapacityBytes - host.AllocatedBytes > 2 * (host.CapacityBytes / AheadDivisor))
            {
                continue;
            }

            _candidates.Clear();
            host.CollectNextToLeave(_candidates, BlocksPerStep, DepthPerStep, static block => block.IsContent && !block.IsDead && MayOffer(block));
            foreach (var block in _candidates)
            {
                if (far.IsStopping)
                {
                    return;
                }

                OfferWithCompanion(block);
            }
        }

        _candidates.Clear();
    }

    private void OfferWithCompanion(Block block)
    {
        if (Offer(block) && block.Companion is { } companion && MayOffer(companion))
        {
            Offer(companion);
        }
    }

    /// <summary>What nobody had used when it was offered gets a second chance once somebody has.</summary>
    private static bool MayOffer(Block block) => !block.IsOffered || (block.WasOfferedUnused && HitsOf(block) > 0);

    /// <summary>Uses of a pair are counted on its main half.</summary>
    private static uint HitsOf(Block block) => block.IsCompanion && Volatile.Read(ref block.Companion) is { } main ? main.Hits : block.Hits;

    private bool Offer(Block block)
    {
        if (block.Scope.IsPurged || !block.TryOpen())
        {
            return false;
        }

        using var read = new BlockRead(null!, block, mustVerify: false);
        var leaving = new LeavingBlock
        {
            Tenant = block.Tenant,
            Key = block.Key,
            Payload = read.Payload,
            Checksums = read.Checksums,
            Origin = read.Origin,
            Hits = HitsOf(block),
        };
        var isAsked = false;
        var isDone = true;
        var isTaken = false;
        foreach (var tier in far.Tiers)
        {
            if (tier.Tier.TakesOffers)
            {
                var isAccepted = tier.Tier.Offer(leaving);
                isAsked = true;
                isDone &= isAccepted;
                isTaken |= isAccepted;
                Interlocked.Add(ref tier.Offered, isAccepted ? 1 : 0);
                Interlocked.Add(ref tier.OfferedBytes, isAccepted ? block.PayloadBytes : 0);
            }
        }

        block.WasOfferedUnused = leaving.Hits == 0;
        block.IsOffered = isAsked && (isDone || block.WasOfferedUnused);
        return isTaken;
    }
}
