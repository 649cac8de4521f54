using KvMesh.Engine.Advice;
using KvMesh.Engine.Arena;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Retention;
using KvMesh.Engine.Telemetry;

namespace KvMesh.Engine.Host;

/// <summary>
/// The RAM of one isolation group: arena, allocator, descriptors, and the order in which blocks leave. Two short locks: the
/// order lock over the retention policies of its tenants, and the space lock over allocator and descriptors, which may be
/// taken under the first, never the other way round. Neither is held together with a lock of the index.
/// </summary>
internal sealed partial class HostTier : IDisposable
{
    private readonly Lock _space = new();
    private readonly Lock _order = new();
    private readonly ArenaMapping _arena;
    private readonly ExtentAllocator _allocator;
    private readonly DescriptorTable _descriptors;

    /// <summary>Resident blocks by descriptor, whose number the allocator keeps with their extents; the last place stays empty, for extents of no block.</summary>
    private readonly Block?[] _owners;
    private readonly Queue<Extent> _quarantine = new();
    private readonly TouchBuffer _touches = new();
    private readonly RequestClock _clock;
    private readonly TimeProvider _time;
    private readonly int _maxBlocks;
    private readonly long _quarantineUntil;
    private readonly List<Tenant> _tenants = [];
    private readonly WithheldMemory _withheld;
    private long _allocatedBytes;
    private int _extents;

    /// <param name="longestLease">Longest existence lease, which bounds what an earlier process can have promised.</param>
    public HostTier(string isolationGroup, ArenaMapping arena, int maxBlocks, TimeSpan longestLease, RequestClock clock, TimeProvider time)
    {
        IsolationGroup = isolationGroup;
        _arena = arena;
        _maxBlocks = maxBlocks;
        _clock = clock;
        _time = time;
        _allocator = new ExtentAllocator(arena.DataBytes, arena.Header.DescriptorCount);
        _descriptors = new DescriptorTable(arena);
        _owners = new Block?[arena.Header.DescriptorCount + 1];
        _withheld = new WithheldMemory(arena, _allocator, mark: arena.Header.DescriptorCount, time);
        Advisor = new CapacityAdvisor(time);
        _quarantineUntil = arena.IsAdopted ? arena.Header.ResidenceLeasesUntil : 0;
        var latest = time.GetUtcNow().ToUnixTimeMilliseconds() + (long)longestLease.TotalMilliseconds;
        RecoveredDiskLeasesUntil = arena.IsAdopted ? Math.Min(arena.Header.DiskLeasesUntil, latest) : 0;
    }

    public string IsolationGroup { get; }

    /// <summary>Unix milliseconds until which blocks that an earlier process left on disk alone may be under its existence leases.</summary>
    public long RecoveredDiskLeasesUntil { get; }

    public string Path => _arena.Path;

    /// <summary>Says what other sizes of this arena would answer.</summary>
    public CapacityAdvisor Advisor { get; }

    public ArenaMapping Arena => _arena;

    public DescriptorTable Descriptors => _descriptors;

    public ExtentAllocator Allocator => _allocator;

    public IReadOnlyList<Tenant> Tenants => _tenants;

    public long CapacityBytes => _arena.DataBytes;

    /// <summary>Whether the number of blocks, not their bytes, is what is used up.</summary>
    public bool IsAtBlockLimit => _maxBlocks > 0 && Extents >= _maxBlocks;

    public long AllocatedBytes => Interlocked.Read(ref _allocatedBytes);

    public int Extents => Volatile.Read(ref _extents);

    /// <summary>Bytes that eviction frees at once: half a percent of the capacity at most.</summary>
    public long BatchBytes => CapacityBytes / 400;

    /// <summary>Extents that eviction frees at once when their number is what is limited.</summary>
    public int BatchBlocks => _maxBlocks / 400;

    public void Add(Tenant tenant) => _tenants.Add(tenant);

    /// <summary>Takes an extent and a descriptor. False when there is no hole of that size, a limit is reached, or the system has no memory for it.</summary>
    public bool TryTake(Tenant tenant, int bytes, out Extent extent)
    {
        if (!TryTakePlace(tenant, bytes, out extent))
        {
            return false;
        }

        if (_arena.TryBack(extent.Offset, extent.AllocatedBytes))
        {
            return true;
        }

        // What no memory can be had for counts as taken for a while: others make room in what there is.
        Free(tenant, extent, wasPublished: false);
        extent = default;
        lock (_space)
        {
            _allocatedBytes += _withheld.TakeAll();
        }

        return false;
    }

    private bool TryTakePlace(Tenant tenant, int bytes, out Extent extent)
    {
        extent = default;
        lock (_space)
        {
            ReleaseQuarantineNeedsLock();
            _allocatedBytes -= _withheld.ReturnIfDue();
            if (IsAtBlockLimit || !_allocator.TryAllocate(bytes, out var offset))
            {
                return false;
            }

            if (!_descriptors.TryTakeNeedsLock(out var descriptor))
            {
                _allocator.Free(offset);
                return false;
            }

            _allocator.SetMark(offset, descriptor);
            extent = new Extent(offset, bytes, descriptor);
            CountNeedsLock(tenant, extent, 1);
            return true;
        }
    }

    /// <summary>Gives an extent back, after its descriptor was withdrawn, so that no reader can mistake what comes next for it.</summary>
    public void Free(Tenant tenant, in Extent extent, bool wasPublished)
    {
        if (wasPublished)
        {
            _descriptors.Withdraw(extent.Descriptor);
        }

        lock (_space)
        {
            _owners[extent.Descriptor] = null;
            CountNeedsLock(tenant, extent, -1);
            if (_quarantineUntil != 0)
            {
                _quarantine.Enqueue(extent);
                ReleaseQuarantineNeedsLock();
                return;
            }

            _allocator.Free(extent.Offset);
            _descriptors.ReturnNeedsLock(extent.Descriptor);
        }
    }

    /// <summary>Takes exactly the extent that an earlier process left. Before the first <see cref="TryTake"/>.</summary>
    public bool TryAdopt(Tenant tenant, in Extent extent)
    {
        if (!_allocator.TryReserveAt(extent.Offset, extent.Bytes))
        {
            return false;
        }

        _allocator.SetMark(extent.Offset, extent.Descriptor);
        CountNeedsLock(tenant, extent, 1);
        return true;
    }

    /// <summary>Takes back an adoption. Before the first <see cref="TryTake"/>; the descriptor is the caller's to withdraw.</summary>
    public void Unadopt(Tenant tenant, in Extent extent)
    {
        _allocator.Free(extent.Offset);
        CountNeedsLock(tenant, extent, -1);
    }

    /// <summary>Puts an adopted block in the order of leaving, where it was; blocks come in that order.</summary>
    public void Restore(Block block)
    {
        if (block.IsResident)
        {
            Own(block);
            NoteRaw(block);
        }

        if (block.Encoded is { } copy)
        {
            Own(block, copy.Extent);
        }

        if (!block.IsCompanion || block.Companion is null)
        {
            block.Tenant.Retention.Add(block, block.LastUse, lowInterest: false);
        }
    }

    /// <summary>The block is about to be visible in its extent.</summary>
    public void Own(Block block) => Own(block, block.Extent);

    /// <summary>The block is about to be visible in that extent too.</summary>
    public void Own(Block block, in Extent extent) => Volatile.Write(ref _owners[extent.Descriptor], block);

    /// <summary>The block that a descriptor describes, or null. It may have gone since.</summary>
    public Block? OwnerOf(int descriptor) => Volatile.Read(ref _owners[descriptor]);

    /// <summary>The block is resident: it may be evicted from now on. A companion leaves with its block and is in no order.</summary>
    public void Retain(Block block, bool lowInterest = false)
    {
        lock (_order)
        {
            // The uses so far come first: the new block takes its place beside a parent that this very request has used.
            _touches.DrainNeedsLock();
            if (!block.IsDead && !block.IsRetained && (!block.IsCompanion || block.Companion is null))
            {
                block.Tenant.Retention.Add(block, _clock.Next(), lowInterest);
            }
        }

        NoteRaw(block);
    }

    /// <summary>Nobody is known who will use these blocks again; a chain from its end on.</summary>
    public void Yield(List<Block> fromEnd)
    {
        lock (_order)
        {
            _touches.DrainNeedsLock();
            for (var index = fromEnd.Count - 1; index >= 0; index--)
            {
                fromEnd[index].Tenant.Retention.Yield(fromEnd[index]);
            }
        }
    }

    public void Forget(Block block)
    {
        lock (_order)
        {
            block.Tenant.Retention.Remove(block);
        }

        block.Tenant.Raw?.Remove(block);
    }

    /// <summary>Notes a use of the block, and of its ancestors when it was used as the end of a prefix.</summary>
    public void Touch(Block block, bool withAncestors)
    {
        if (!_touches.Add(block, _clock.Next(), withAncestors) && _order.TryEnter())
        {
            try
            {
                _touches.DrainNeedsLock();
            }
            finally
            {
                _order.Exit();
            }
        }
    }

    /// <summary>Who gives way: whoever is furthest beyond its share, so that nobody within its share ever does for another.</summary>
    public Tenant VictimTenant(Tenant requester)
    {
        var victim = requester;
        foreach (var tenant in _tenants)
        {
            if (tenant.HostBytes - tenant.ShareBytes > Math.Max(0, victim.HostBytes - victim.ShareBytes))
            {
                victim = tenant;
            }
        }

        return victim;
    }

    /// <summary>The next block that leaves so that <paramref name="requester"/> gets room, claimed; or null.</summary>
    public Block? NextVictim(Tenant requester, Func<Block, VictimVerdict> judge)
    {
        lock (_order)
        {
            _touches.DrainNeedsLock();
            var victim = VictimTenant(requester).Retention.NextVictim(judge);
            victim ??= requester.HostBytes > 0 ? requester.Retention.NextVictim(judge) : null;
            victim?.Tenant.Retention.Remove(victim);
            return victim;
        }
    }

    /// <summary>The block beside the largest hole that was used least recently, claimed; or null when none may leave.</summary>
    public Block? NextNeighbourOfLargestHole(Tenant requester, Func<Block, VictimVerdict> judge)
    {
        Block? before = null;
        Block? after = null;
        lock (_space)
        {
            if (_allocator.TryGetLargestHole(out var hole, out _))
            {
                before = _allocator.TryGetPrevious(hole, out var previous) ? OwnerNeedsLock(previous) : null;
                after = _allocator.TryGetNext(hole, out var next) ? OwnerNeedsLock(next) : null;
            }
        }

        if (before is null || (after is not null && after.LastUse < before.LastUse))
        {
            (before, after) = (after, before);
        }

        return TryChoose(before, requester, judge) ?? TryChoose(after, requester, judge);
    }

    /// <summary>Copies up to <paramref name="count"/> blocks in the order in which they would leave, those that <paramref name="wanted"/> accepts.</summary>
    public void CollectNextToLeave(List<Block> destination, int count, int depth, Func<Block, bool> wanted)
    {
        lock (_order)
        {
            _touches.DrainNeedsLock();
            foreach (var tenant in _tenants)
            {
                destination.AddRange(tenant.Retention.LeastValuableFirst().Take(depth).Where(wanted).Take(count));
            }
        }
    }

    /// <summary>All resident blocks, most valuable first.</summary>
    public List<Block> CollectMostValuable()
    {
        lock (_order)
        {
            _touches.DrainNeedsLock();
            return [.. _tenants.SelectMany(tenant => tenant.Retention.MostValuableFirst())];
        }
    }

    public ArenaSnapshot Snapshot(long warmBytes)
    {
        lock (_space)
        {
            var free = CapacityBytes - _allocatedBytes;
            var largest = _allocator.TryGetLargestHole(out _, out var bytes) ? bytes : 0;
            var fragmentation = free == 0 ? 0 : 1 - ((double)largest / free);
            return new ArenaSnapshot(IsolationGroup, Path, CapacityBytes, _allocatedBytes, largest, fragmentation, warmBytes) { WithheldBytes = _withheld.Bytes };
        }
    }

    /// <summary>Remembers for the next process how long clients may still read in place.</summary>
    public void NoteResidenceLease(long until) => Raise(ref _arena.Header.ResidenceLeasesUntil, until);

    /// <summary>
    /// Remembers for the next process how long blocks that are on disk alone are promised: their records do not say it, and are not written for it.
    /// </summary>
    public void NoteDiskLease(long until) => Raise(ref _arena.Header.DiskLeasesUntil, until);

    public void Dispose() => _arena.Dispose();

    private static void Raise(ref long last, long until)
    {
        while (Volatile.Read(ref last) is var seen && seen < until && Interlocked.CompareExchange(ref last, until, seen) != seen)
        {
        }
    }

    /// <summary>The block whose extent begins there; null while it is being written. It may have gone since: whoever takes it claims it first.</summary>
    private Block? OwnerNeedsLock(long offset) => OwnerOf(_allocator.MarkOf(offset));

    private Block? TryChoose(Block? candidate, Tenant requester, Func<Block, VictimVerdict> judge)
    {
        if (candidate is null || (candidate.Tenant != requester && candidate.Tenant.HostBytes <= candidate.Tenant.ShareBytes))
        {
            return null;
        }

        lock (_order)
        {
            if (!candidate.IsRetained || judge(candidate) != VictimVerdict.Take)
            {
                return null;
            }

            candidate.Tenant.Retention.Remove(candidate);
            return candidate;
        }
    }

    private void CountNeedsLock(Tenant tenant, in Extent extent, int sign)
    {
        _allocatedBytes += sign * extent.AllocatedBytes;
        _extents += sign;
        Interlocked.Add(ref tenant.Counters.HostBytes, sign * extent.AllocatedBytes);
    }

    private void ReleaseQuarantineNeedsLock()
    {
        if (_quarantine.Count == 0 || _time.GetUtcNow().ToUnixTimeMilliseconds() < _quarantineUntil)
        {
            return;
        }

        while (_quarantine.TryDequeue(out var extent))
        {
            _allocator.Free(extent.Offset);
            _descriptors.ReturnNeedsLock(extent.Descriptor);
        }
    }
}
