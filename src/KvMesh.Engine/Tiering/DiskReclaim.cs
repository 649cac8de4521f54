using System.Text;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Disk;
using KvMesh.Engine.Events;

namespace KvMesh.Engine.Tiering;

/// <summary>
/// Decides what stays when a disk segment is given up: what was promised to stay, what was used since it was written, and what is likely to be used.
/// Called by one thread at a time.
/// </summary>
internal sealed class DiskReclaim(BlockRegistry registry, TenantTable tenants, TimeProvider time) : IDiskReclaimObserver
{
    private readonly PromisedChains _promises = new();

    /// <summary>A promised block whose copy in RAM keeps the promise: held there until its record has gone, or it might leave RAM for that record.</summary>
    private BlockRead? _heldInRam;

    /// <summary>The same of one that lies encoded in RAM: claimed.</summary>
    private Block? _claimed;

    /// <summary>Records up to this number were written by an earlier process. Until that is known all are taken for such.</summary>
    private long _lastRecovered = long.MaxValue;

    /// <summary>All records of earlier processes are known; what is written from here on has a higher number.</summary>
    public void EndRecovery(long lastRecord) => Volatile.Write(ref _lastRecovered, lastRecord);

    public bool IsPromised(in DiskRecord record, DiskLocation location) =>
        Find(record) is { } block && block.Disk == location && !block.IsInRam && IsPromised(block, record);

    public ReclaimVerdict Decide(in DiskRecord record, DiskLocation location, bool mayKeep, out uint hits)
    {
        hits = record.Hits;
        if (Find(record) is not { } block || block.Disk != location || block.Scope.IsPurged)
        {
            return ReclaimVerdict.Drop;
        }

        hits = block.Hits;
        if (IsPromised(block, record))
        {
            if (block.TryOpen())
            {
                _heldInRam = new BlockRead(null!, block, mustVerify: false);
                return ReclaimVerdict.Drop;
            }

            if (!block.IsInRam || !block.TryClaim(resident: false))
            {
                return ReclaimVerdict.Promised;
            }

            _claimed = block;
            if (block.IsInRam)
            {
                return ReclaimVerdict.Drop;
            }

            LetGo();
            return ReclaimVerdict.Promised;
        }

        return mayKeep && !block.IsInRam && (hits > record.Hits || IsWorthItsPlace(block)) ? ReclaimVerdict.Keep : ReclaimVerdict.Drop;
    }

    public bool Moved(in DiskRecord record, DiskLocation from, DiskLocation to) =>
        Find(record) is { IsDead: false } block && block.TryMoveOnDisk(from, to);

    public void Forget(in DiskRecord record, DiskLocation location)
    {
        if (Find(record) is { } block && block.TryMoveOnDisk(location, default) && !block.IsInRam)
        {
            block.Tenant.NoteLeft(block);
            registry.Remove(block, BlockEventKind.Removed);
        }

        LetGo();
    }

    private static bool IsWorthItsPlace(Block block) => block.Tenant.Retention.ExpectedUses(block) is { } expected && block.Tenant.Admission.Keeps(expected);

    private void LetGo()
    {
        _heldInRam?.Dispose();
        _heldInRam = null;
        _claimed?.UnclaimAndCheckFree(resident: false);
        _claimed = null;
    }

    private bool IsPromised(Block block, in DiskRecord record)
    {
        var now = time.GetUtcNow().ToUnixTimeMilliseconds();
        return !block.Scope.IsPurged && !registry.IsExpired(block) && (MayBePromised(block, record, now) || _promises.Cover(block, now));
    }

    /// <summary>Whether an earlier process may have leased it: which of its blocks on disk it had leased is not known, only for how long.</summary>
    private bool MayBePromised(Block block, in DiskRecord record, long now) =>
        now < block.Tenant.Host.RecoveredDiskLeasesUntil && record.Sequence <= Volatile.Read(ref _lastRecovered);

    private Block? Find(in DiskRecord record)
    {
        var tenant = tenants.Find(Encoding.UTF8.GetString(record.Tenant));
        return tenant is null ? null : registry.Index.Find(record.Digest, tenant, record.Key);
    }
}
