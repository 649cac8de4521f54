using KvMesh.Engine.Blocks;
using KvMesh.Engine.Host;

namespace KvMesh.Engine.FarTiers;

/// <summary>
/// Offers blocks to tiers that all nodes share before they leave this one, from the end of RAM that leaves next, ahead of need: so
/// that eviction stays a matter of memory. Blocks that still go to this node's disk are not leaving.
/// </summary>
/// <param name="open">Opens a block that lies encoded in RAM, as it is.</param>
internal sealed class LeavingOffers(FarLookup far, Func<bool> isLastStop, Func<Block, bool> open)
{
    /// <summary>How often a step looks.</summary>
    public static readonly TimeSpan Period = TimeSpan.FromMilliseconds(50);

    private const int AheadDivisor = 16;
    private const int BlocksPerStep = 64;
    private const int DepthPerStep = 8192;

    private readonly List<Block> _candidates = [];
    private readonly Func<Block, bool> _mayOffer = block => block.IsContent && !block.IsDead && MayOffer(block, far.Time);

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
            host.CollectNextToLeave(_candidates, BlocksPerStep, DepthPerStep, _mayOffer);
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

    /// <summary>Offers everything that is wanted and that no tier below has, for as long as the time lasts. Any thread.</summary>
    public void OfferAll(IEnumerable<HostTier> hosts, TimeProvider time, TimeSpan limit)
    {
        var startedAt = time.GetTimestamp();
        if (!far.Tiers.Any(tier => tier.Tier.TakesOffers))
        {
            return;
        }

        foreach (var block in hosts.SelectMany(host => host.CollectMostValuable()))
        {
            if (far.IsStopping || time.GetElapsedTime(startedAt) >= limit)
            {
                return;
            }

            if (block.IsContent && !block.IsDead && IsWanted(block, time) && MayOffer(block, time))
            {
                OfferWithCompanion(block);
            }
        }
    }

    private void OfferWithCompanion(Block block)
    {
        if (Offer(block) && block.Companion is { } companion && MayOffer(companion, far.Time))
        {
            Offer(companion);
        }
    }

    /// <summary>What nobody wanted when it was offered gets a second chance once somebody does.</summary>
    private static bool MayOffer(Block block, TimeProvider time) => !block.IsOffered || (block.WasOfferedUnwanted && IsWanted(block, time));

    /// <summary>
    /// Whether it was used, a pin keeps it or, as far as anything is known of that, it is likely to be used. The halves of a pair are kept together, and uses are
    /// counted on its main half.
    /// </summary>
    private static bool IsWanted(Block block, TimeProvider time)
    {
        var main = MainOf(block);
        return main.Hits > 0
            || (Volatile.Read(ref main.HeldUntil) is var until && until != 0 && until > time.GetUtcNow().ToUnixTimeMilliseconds())
            || main.Tenant.Retention.ExpectedUses(main) is not { } expected || main.Tenant.Admission.IsWorthAWrite(expected);
    }

    private static Block MainOf(Block block) => block.IsCompanion && Volatile.Read(ref block.Companion) is { } main ? main : block;

    private bool Offer(Block block)
    {
        if (block.Scope.IsPurged || !(block.TryOpen() || (!block.IsResident && block.Encoded is not null && open(block))))
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
            IsWanted = IsWanted(block, far.Time),
            Source = block,
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

        block.WasOfferedUnwanted = !leaving.IsWanted;
        block.IsOffered = isAsked && (isDone || block.WasOfferedUnwanted);
        return isTaken;
    }
}
