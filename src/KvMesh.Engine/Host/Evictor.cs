using KvMesh.Engine.Blocks;
using KvMesh.Engine.Events;
using KvMesh.Engine.Retention;
using KvMesh.Engine.Telemetry;

namespace KvMesh.Engine.Host;

/// <summary>Finds room in an arena, making blocks leave it in the order of the retention policy.</summary>
internal sealed class Evictor
{
    /// <summary>Rounds of making room before a put is refused; each frees at least one block.</summary>
    private const int MaxRounds = 4096;

    private readonly BlockRegistry _registry;
    private readonly EngineCounters _counters;
    private readonly TimeProvider _time;
    private readonly Func<Block, VictimVerdict> _judge;

    public Evictor(BlockRegistry registry, EngineCounters counters, TimeProvider time)
    {
        _registry = registry;
        _counters = counters;
        _time = time;
        _judge = Judge;
    }

    /// <summary>Takes an extent, evicting what must leave for it. False when nothing more may leave.</summary>
    public bool TryAllocate(Tenant tenant, int bytes, out Extent extent)
    {
        var host = tenant.Host;
        if (host.TryTake(tenant, bytes, out extent))
        {
            return true;
        }

        for (var round = 0; round < MaxRounds; round++)
        {
            var freeBytes = host.CapacityBytes - host.AllocatedBytes;
            var isFragmented = !host.IsAtBlockLimit && freeBytes >= Extent.RoundUp(bytes) + host.BatchBytes;
            var evicted = isFragmented && host.NextNeighbourOfLargestHole(tenant, _judge) is { } neighbour
                ? Evict(neighbour)
                : EvictBatch(tenant, bytes - freeBytes);
            if (!evicted)
            {
                return host.TryTake(tenant, bytes, out extent);
            }

            if (host.TryTake(tenant, bytes, out extent))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Frees what is missing and a little more, so that the next put need not wait for this.</summary>
    private bool EvictBatch(Tenant tenant, long missingBytes)
    {
        var host = tenant.Host;
        var wantedBytes = Math.Max(missingBytes, 0) + host.BatchBytes;
        var freedBytes = 0L;
        var freedBlocks = 0;
        do
        {
            if (host.NextVictim(tenant, _judge) is not { } victim)
            {
                break;
            }

            freedBytes += victim.Extent.AllocatedBytes;
            freedBlocks++;
            Evict(victim);
        }
        while (freedBytes < wantedBytes && (missingBytes > 0 || freedBlocks <= host.BatchBlocks));

        return freedBlocks > 0;
    }

    /// <summary>Moves a claimed block out of RAM: to the copy below, or out of the cache.</summary>
    private bool Evict(Block victim)
    {
        var extent = victim.Extent;
        Interlocked.Increment(ref _counters.HostEvictions);
        Interlocked.Add(ref _counters.HostEvictedBytes, extent.AllocatedBytes);
        if (victim.IsOnDisk)
        {
            victim.Extent = default;
            victim.UnclaimAndCheckFree(resident: false);
            victim.Tenant.Host.Free(victim.Tenant, extent, wasPublished: true);

            // The copy below may be forgotten at the same moment; one of the two sees that no copy is left.
            if (victim.IsOnDisk)
            {
                _registry.NoteDemoted(victim);
            }
            else
            {
                _registry.Remove(victim, BlockEventKind.Removed);
            }

            return true;
        }

        Interlocked.Increment(ref _counters.HostDropped);
        _registry.Remove(victim, BlockEventKind.Removed);
        if (victim.UnclaimAndCheckFree(resident: true))
        {
            victim.Tenant.Host.Free(victim.Tenant, extent, wasPublished: true);
        }

        return true;
    }

    /// <summary>
    /// Claims the candidate if it may leave. The lease is looked at after the claim: whoever grants one looks at the claim after
    /// writing it, so one of the two sees the other.
    /// </summary>
    private VictimVerdict Judge(Block candidate)
    {
        if (candidate.HasChildren && !candidate.IsOnDisk)
        {
            return VictimVerdict.HasChildren;
        }

        if (!candidate.TryClaim(resident: true))
        {
            return VictimVerdict.InUse;
        }

        if (!candidate.IsOnDisk && !candidate.Scope.IsPurged && IsLeased(candidate))
        {
            if (candidate.UnclaimAndCheckFree(resident: true))
            {
                candidate.Tenant.Host.Free(candidate.Tenant, candidate.Extent, wasPublished: true);
            }

            return VictimVerdict.InUse;
        }

        return VictimVerdict.Take;
    }

    private bool IsLeased(Block block) =>
        Volatile.Read(ref block.LeaseUntil) is var until && until != 0 && until > _time.GetUtcNow().ToUnixTimeMilliseconds();
}
