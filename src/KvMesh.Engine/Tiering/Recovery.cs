using System.Text;
using KvMesh.Engine.Arena;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Disk;
using KvMesh.Engine.Host;
using KvMesh.Engine.Retention;
using KvMesh.Protocol.Arena;

namespace KvMesh.Engine.Tiering;

/// <summary>
/// Takes up what an earlier process left in arenas and on disk. Only descriptors that were sealed, whole and of a scope that was
/// not purged since become blocks; their payloads are verified before or while they are first used.
/// </summary>
internal sealed class Recovery(BlockRegistry registry, TenantTable tenants, RequestClock clock, TimeProvider time)
{
    private readonly List<Block> _recovered = [];
    private int _discarded;

    public int Recovered => _recovered.Count;

    /// <summary>Descriptors that were not whole, or not wanted any more.</summary>
    public int Discarded => _discarded;

    public void AdoptArena(HostTier host)
    {
        if (!host.Arena.IsAdopted)
        {
            return;
        }

        // The newest of two blocks of one key is the one that replaced the other when the process ended.
        var sealedIndexes = Enumerable.Range(0, host.Descriptors.HighWater)
            .Where(index => DescriptorTable.IsIntact(ref host.Arena.Descriptor(index)))
            .OrderByDescending(index => host.Arena.Descriptor(index).LastUse)
            .ToArray();
        var adopted = new HashSet<int>();
        foreach (var index in sealedIndexes)
        {
            if (TryAdopt(host, index))
            {
                adopted.Add(index);
            }
        }

        for (var index = host.Descriptors.HighWater - 1; index >= 0; index--)
        {
            if (!adopted.Contains(index))
            {
                _discarded += host.Arena.Descriptor(index).State == DescriptorState.Free ? 0 : 1;
                host.Descriptors.Withdraw(index);
                host.Descriptors.ReturnNeedsLock(index);
            }
        }
    }

    public bool AdoptRecord(in DiskRecord record, DiskLocation location)
    {
        if (tenants.Find(Encoding.UTF8.GetString(record.Tenant)) is not { } tenant
            || registry.DigestOf(tenant, record.Key) != record.Digest
            || IsPast(record.ExpiresAt))
        {
            return false;
        }

        var scope = tenant.ScopeOf(Encoding.UTF8.GetString(record.Model), Encoding.UTF8.GetString(record.Revision));
        if (record.ScopeEpoch != scope.Epoch)
        {
            return false;
        }

        if (registry.Index.Find(record.Digest, tenant, record.Key) is { } resident)
        {
            if (resident.TableChecksum != record.TableChecksum || resident.PayloadBytes != record.PayloadBytes || resident.IsOnDisk)
            {
                return false;
            }

            resident.Disk = location;
            resident.IsExpiryNewer = record.ExpiresAt != resident.ExpiresAt;
            return true;
        }

        var block = new Block(scope, record.Digest, record.Key, (int)record.PayloadBytes, record.Flags, record.Parent)
        {
            Disk = location,
            TableChecksum = record.TableChecksum,
            TrailerChecksum = record.TrailerChecksum,
            Hits = record.Hits,
            ExpiresAt = record.ExpiresAt,
            LastUse = record.LastUse,
        };
        return Restore(block);
    }

    /// <summary>Joins chains and pairs, and puts what is in RAM in its old order, once everything is in the index.</summary>
    public void Finish()
    {
        foreach (var block in _recovered)
        {
            registry.Link(block);
        }

        foreach (var block in _recovered.Where(block => block.IsResident).OrderBy(block => block.LastUse))
        {
            block.Tenant.Host.Restore(block);
        }
    }

    private bool TryAdopt(HostTier host, int index)
    {
        ref var descriptor = ref host.Arena.Descriptor(index);
        if (IsPast(descriptor.ExpiresAt)
            || !Trailer.TryRead(host.Arena, descriptor, out var names)
            || tenants.Find(names.Tenant) is not { } tenant
            || tenant.Host != host
            || registry.DigestOf(tenant, names.Key) != descriptor.Digest
            || tenant.ScopeOf(names.Model, names.Revision) is not { } scope
            || scope.Epoch != descriptor.ScopeEpoch)
        {
            return false;
        }

        var extent = new Extent(descriptor.ExtentOffset, (int)descriptor.ExtentBytes, index);
        if (!host.TryAdopt(tenant, extent))
        {
            return false;
        }

        var block = new Block(scope, descriptor.Digest, names.Key, (int)descriptor.PayloadBytes, descriptor.Flags, descriptor.Parent)
        {
            Extent = extent,
            TableChecksum = descriptor.TableChecksum,
            TrailerChecksum = descriptor.TrailerChecksum,
            Hits = descriptor.Hits,
            ExpiresAt = descriptor.ExpiresAt,
            LeaseUntil = descriptor.LeaseUntil,
            LastUse = descriptor.LastUse,
        };
        block.StartResident();
        if (Restore(block))
        {
            return true;
        }

        host.Unadopt(tenant, extent);
        return false;
    }

    private bool Restore(Block block)
    {
        if (!registry.Restore(block))
        {
            return false;
        }

        clock.StartAfter(block.LastUse);
        _recovered.Add(block);
        return true;
    }

    private bool IsPast(long expiresAt) => expiresAt != 0 && expiresAt <= time.GetUtcNow().ToUnixTimeMilliseconds();
}
