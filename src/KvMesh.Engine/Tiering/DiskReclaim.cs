using KvMesh.Engine.Blocks;
using KvMesh.Engine.Disk;
using KvMesh.Engine.Events;

namespace KvMesh.Engine.Tiering;

/// <summary>Decides what stays when a disk segment is given up: what was used since it was written, or was promised to stay.</summary>
internal sealed class DiskReclaim(BlockRegistry registry, TenantTable tenants, TimeProvider time) : IDiskReclaimObserver
{
    public ReclaimVerdict Decide(in DiskRecord record, DiskLocation location, bool mayKeep)
    {
        if (Find(record) is not { } block || block.Disk != location)
        {
            return ReclaimVerdict.Drop;
        }

        var isWanted = block.Hits > record.Hits || block.LeaseUntil > time.GetUtcNow().ToUnixTimeMilliseconds();
        return mayKeep && isWanted && !block.IsResident && !block.Scope.IsPurged ? ReclaimVerdict.Keep : ReclaimVerdict.Drop;
    }

    public bool Moved(in DiskRecord record, DiskLocation from, DiskLocation to) =>
        Find(record) is { IsDead: false } block && block.TryMoveOnDisk(from, to);

    public void Forget(in DiskRecord record, DiskLocation location)
    {
        if (Find(record) is { } block && block.TryMoveOnDisk(location, default) && !block.IsResident)
        {
            registry.Remove(block, BlockEventKind.Removed);
        }
    }

    private Block? Find(in DiskRecord record)
    {
        var tenant = tenants.Find(System.Text.Encoding.UTF8.GetString(record.Tenant));
        return tenant is null ? null : registry.Index.Find(record.Digest, tenant, record.Key);
    }
}
