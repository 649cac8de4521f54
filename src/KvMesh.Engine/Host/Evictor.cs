using KvMesh.Engine.Blocks;
using KvMesh.Engine.Coding;
using KvMesh.Engine.Events;
using KvMesh.Engine.Retention;
using KvMesh.Engine.Telemetry;

namespace KvMesh.Engine.Host;

/// <summary>Finds room in an arena, making blocks leave it in the order of the retention policy.</summary>
internal sealed class Evictor
{
    /// <summary>Rounds of making room before a put is refused; each frees at least one block.</summary>
    private const int MaxRounds = 4096;

    /// <summary>Shadows taken for one that may go: others keep a promise for as long as it runs.</summary>
    private const int MaxShadowsTried = 256;

    /// <summary>Of blocks encoded for room, how many may keep their raw extent before somebody else has to leave.</summary>
    private const int MaxShadowsKept = 4;

    private readonly BlockRegistry _registry;
    private readonly EngineCounters _counters;
    private readonly TimeProvider _time;
    private readonly Func<Block, VictimVerdict> _judge;
    private HostEncoder? _encoder;
    private bool _encodesForRoom;

    public Evictor(BlockRegistry registry, EngineCounters counters, TimeProvider time)
    {
        _registry = registry;
        _counters = counters;
        _time = time;
        _judge = Judge;
    }

    /// <summary>Once, before the first block: who makes blocks smaller instead of letting others leave.</summary>
    /// <param name="encoder">Who does.</param>
    /// <param name="forRoom">
    /// Whether those who need room wait for it too, because a block that leaves is lost. Where there is a disk they do not: the block goes there, and the
    /// background has the share of the processors.
    /// </param>
    public void UseEncoder(HostEncoder encoder, bool forRoom) => (_encoder, _encodesForRoom) = (encoder, forRoom);

    /// <summary>
    /// Takes an extent, making room: first go raw extents of blocks that lie encoded too, then blocks are encoded, and then they leave. False when
    /// nothing more may leave.
    /// </summary>
    /// <param name="mayEncode">Whether blocks may be encoded for it; not for an encoder's own sake.</param>
    public bool TryAllocate(Tenant tenant, int bytes, out Extent extent, bool mayEncode = true)
    {
        var host = tenant.Host;
        if (host.TryTake(tenant, bytes, out extent))
        {
            return true;
        }

        for (var round = 0; round < MaxRounds; round++)
        {
            var freeBytes = host.CapacityBytes - host.AllocatedBytes;
            if (tenant.Raw is not null && TryFreeRaw(tenant, bytes - freeBytes, mayEncode))
            {
                if (host.TryTake(tenant, bytes, out extent))
                {
                    return true;
                }

                continue;
            }

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

            freedBytes += BytesInRam(victim);
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
        var wasResident = !extent.IsNone;
        Interlocked.Increment(ref _counters.HostEvictions);
        Interlocked.Add(ref _counters.HostEvictedBytes, BytesInRam(victim));
        if (victim.IsOnDisk)
        {
            if (IsLeased(victim))
            {
                // Its descriptor, which says so, goes.
                victim.Tenant.Host.NoteDiskLease(Volatile.Read(ref victim.LeaseUntil));
            }

            victim.Tenant.Raw?.Remove(victim);
            var copy = _registry.TakeEncoded(victim);
            if (wasResident)
            {
                _registry.Displace(victim);
            }

            victim.UnclaimAndCheckFree(resident: false);
            if (wasResident)
            {
                victim.Tenant.Host.Free(victim.Tenant, extent, wasPublished: false);
            }

            copy?.Close();
            LeftRam(victim);
            return true;
        }

        Interlocked.Increment(ref _counters.HostDropped);
        victim.Tenant.NoteLeft(victim);
        _registry.Remove(victim, BlockEventKind.Removed);
        if (victim.UnclaimAndCheckFree(wasResident))
        {
            victim.Tenant.Host.Free(victim.Tenant, extent, wasPublished: true);
        }

        return true;
    }

    /// <summary>
    /// Frees raw extents that need not stay, of whoever gives way: what is missing and a little more, where they are shadows or else by encoding
    /// their blocks. False: there is none.
    /// </summary>
    private bool TryFreeRaw(Tenant requester, long missingBytes, bool mayEncode)
    {
        var victim = requester.Host.VictimTenant(requester);
        return TryFreeRawOf(victim, missingBytes, mayEncode) || (victim != requester && TryFreeRawOf(requester, missingBytes, mayEncode));
    }

    private bool TryFreeRawOf(Tenant tenant, long missingBytes, bool mayEncode)
    {
        var wantedBytes = Math.Max(missingBytes, 0) + tenant.Host.BatchBytes;
        var freedBytes = 0L;
        var left = Math.Min(tenant.Raw!.Shadows, MaxShadowsTried);
        while (freedBytes <= wantedBytes && left-- > 0 && tenant.Raw.TakeShadow() is { } block)
        {
            freedBytes += DropShadow(block);
        }

        if (freedBytes > 0 || !mayEncode || !_encodesForRoom || tenant.Host.IsAtBlockLimit || _encoder is not { } encoder)
        {
            return freedBytes > 0;
        }

        // Room for the next one's encoding is left over, or some block would have to leave for that.
        var hasFreed = false;
        var kept = 0;
        while ((!hasFreed || freedBytes < missingBytes + tenant.Raw!.EncodedBytes)
            && kept < MaxShadowsKept && encoder.EncodeNext(tenant) && tenant.Raw!.TakeShadow() is { } encoded)
        {
            var droppedBytes = DropShadow(encoded);
            freedBytes += droppedBytes - tenant.Raw.EncodedBytes;
            hasFreed |= droppedBytes > 0;
            kept += droppedBytes > 0 ? 0 : 1;
        }

        return hasFreed;
    }

    /// <summary>Gives back the raw extent of a claimed block that lies encoded too. Returns its bytes.</summary>
    private long DropShadow(Block block)
    {
        var host = block.Tenant.Host;
        var extent = block.Extent;
        var copy = Volatile.Read(ref block.Encoded);
        var losesBits = copy?.Loss is not null && block.Loss is null;
        if (copy is null || (losesBits && (block.IsLosslessOnly || Volatile.Read(ref block.WritingSequence) != 0 || (!block.Scope.IsPurged && IsLeased(block)))))
        {
            // Its other copy was bad, and it may be encoded anew; or what was promised is promised as it is, or every bit is on its way to the disk: it is
            // looked at again later.
            HostTier.NoteRaw(block);
            if (block.UnclaimAndCheckFree(resident: true))
            {
                host.Free(block.Tenant, extent, wasPublished: true);
            }

            return 0;
        }

        Interlocked.Increment(ref _counters.ShadowsDropped);
        if (losesBits && block.IsOnDisk && block.LossyBelow?.TableChecksum != copy.Index.BlockTableChecksum)
        {
            // The disk has every bit, or lost others: there is one answer for a block, and that copy was made to last.
            return EvictToDisk(block);
        }

        _registry.Displace(block);
        block.UnclaimAndCheckFree(resident: false);
        host.Free(block.Tenant, extent, wasPublished: false);
        if (!block.IsInRam)
        {
            // The encoded copy was given up at the same moment; one of the two sees that no copy is left. It goes on in the order of those that
            // are here until its turn comes: somebody may be loading it again.
            LeftRam(block);
        }

        return extent.AllocatedBytes;
    }

    /// <summary>Takes everything that a claimed block has in RAM. Returns the bytes.</summary>
    private long EvictToDisk(Block block)
    {
        var bytes = BytesInRam(block);
        block.Tenant.Host.Forget(block);
        Evict(block);
        return bytes;
    }

    /// <summary>Nothing of the block is in RAM any more.</summary>
    private void LeftRam(Block block)
    {
        // The copy below may be forgotten at the same moment; one of the two sees that no copy is left.
        if (block.IsOnDisk)
        {
            _registry.NoteDemoted(block);
        }
        else
        {
            _registry.Remove(block, BlockEventKind.Removed);
        }
    }

    private static long BytesInRam(Block block) => block.Extent.AllocatedBytes + (Volatile.Read(ref block.Encoded)?.Extent.AllocatedBytes ?? 0);

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

        var isResident = candidate.IsResident;
        if (!candidate.TryClaim(isResident))
        {
            return VictimVerdict.InUse;
        }

        // What was promised is promised as it is: a copy below that lost something does not keep the promise.
        if ((!candidate.IsOnDisk || candidate.LossyBelow is not null) && !candidate.Scope.IsPurged && IsLeased(candidate))
        {
            if (candidate.UnclaimAndCheckFree(isResident))
            {
                candidate.Tenant.Host.Free(candidate.Tenant, candidate.Extent, wasPublished: true);
            }

            return VictimVerdict.InUse;
        }

        return VictimVerdict.Take;
    }

    private bool IsLeased(Block block) =>
        (Volatile.Read(ref block.LeaseUntil) | Volatile.Read(ref block.HeldUntil)) != 0 && block.IsPromisedAt(_time.GetUtcNow().ToUnixTimeMilliseconds());
}
