using System.Text;
using KvMesh.Engine.Arena;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Coding;
using KvMesh.Engine.Disk;
using KvMesh.Engine.Host;
using KvMesh.Engine.Retention;
using KvMesh.Protocol.Arena;

namespace KvMesh.Engine.Tiering;

/// <summary>
/// Takes up what an earlier process left in arenas and on disk. Only descriptors that were sealed, whole and of a scope that was
/// not purged since become blocks; their payloads are verified before or while they are first used.
/// </summary>
/// <param name="canDecode">Whether blocks that lie encoded, on disk or in arenas, can be read.</param>
internal sealed partial class Recovery(BlockRegistry registry, TenantTable tenants, RequestClock clock, TimeProvider time, bool canDecode = false)
{
    private readonly List<Block> _recovered = [];
    private int _discarded;

    public int Recovered => _recovered.Count;

    /// <summary>Descriptors that were not whole, or not wanted any more.</summary>
    public int Discarded => _discarded;

    /// <summary>Number of the newest record on disk.</summary>
    public long LastRecord { get; private set; }

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

        if (canDecode)
        {
            AdoptEncoded(host, adopted);
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
        LastRecord = Math.Max(LastRecord, record.Sequence);
        if (tenants.Find(Encoding.UTF8.GetString(record.Tenant)) is not { } tenant
            || registry.DigestOf(tenant, record.Key) != record.Digest
            || IsPast(record.ExpiresAt)
            || (record.IsEncoded && !canDecode))
        {
            return false;
        }

        // What was purged makes no scope: names that are not used any more may be many.
        var (model, revision) = (Encoding.UTF8.GetString(record.Model), Encoding.UTF8.GetString(record.Revision));
        if (record.ScopeEpoch != tenant.Scopes.EpochOf(model, revision) || tenant.Scopes.Of(model, revision) is not { } scope)
        {
            return false;
        }

        if (registry.Index.Find(record.Digest, tenant, record.Key) is { } resident)
        {
            if (resident.PayloadBytes != record.BlockBytes || resident.IsOnDisk || !IsCopyOf(resident, record, out var lossy))
            {
                return false;
            }

            resident.LossyBelow = lossy;
            resident.Disk = location;
            resident.IsExpiryNewer = record.ExpiresAt != resident.ExpiresAt;
            return true;
        }

        var block = new Block(scope, record.Digest, record.Key, (int)record.BlockBytes, record.Flags, record.Parent)
        {
            Disk = location,
            TableChecksum = record.BlockTableChecksum,
            Loss = record.Loss,
            TrailerChecksum = record.IsEncoded ? 0 : record.TrailerChecksum,
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

        foreach (var block in _recovered.Where(block => block.IsInRam).OrderBy(block => block.LastUse))
        {
            block.Tenant.Host.Restore(block);
        }
    }

    private bool TryAdopt(HostTier host, int index)
    {
        ref var descriptor = ref host.Arena.Descriptor(index);
        if (!TryName(host, descriptor, out var names, out var tenant, out var scope))
        {
            return false;
        }

        var extent = new Extent(descriptor.ExtentOffset, (int)descriptor.ExtentBytes, index);
        if (!host.TryAdopt(tenant!, extent))
        {
            return false;
        }

        var flags = FlagsOf(descriptor);
        var block = new Block(scope!, descriptor.Digest, names.Key, (int)descriptor.PayloadBytes, flags, descriptor.Parent)
        {
            Extent = extent,
            Loss = names.Loss,
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

        host.Unadopt(tenant!, extent);
        return false;
    }

    /// <summary>With what the block was marked with since it was sealed.</summary>
    private static BlockFlags FlagsOf(in BlockDescriptor descriptor) =>
        (descriptor.Flags & ~BlockFlags.Lossy) | ((descriptor.Marks & BlockMarks.LosslessOnly) != 0 ? BlockFlags.LosslessOnly : BlockFlags.None);

    /// <summary>Whose block a descriptor is of, if it is whole and still wanted.</summary>
    private bool TryName(HostTier host, in BlockDescriptor descriptor, out TrailerNames names, out Tenant? tenant, out Scope? scope)
    {
        tenant = null;
        scope = null;
        if (IsPast(descriptor.ExpiresAt)
            || !Trailer.TryRead(host.Arena, descriptor, out names)
            || tenants.Find(names.Tenant) is not { } owner
            || owner.Host != host
            || registry.DigestOf(owner, names.Key) != descriptor.Digest
            || owner.Scopes.EpochOf(names.Model, names.Revision) != descriptor.ScopeEpoch)
        {
            names = default;
            return false;
        }

        tenant = owner;
        scope = owner.Scopes.Of(names.Model, names.Revision);
        return scope is not null;
    }

    /// <summary>Whether a record is of what lies in RAM: the same bytes, or what an encoding made of them.</summary>
    private static bool IsCopyOf(Block resident, in DiskRecord record, out LossyCopy? lossy)
    {
        lossy = null;
        if (resident.TableChecksum == record.BlockTableChecksum)
        {
            return true;
        }

        if (record.Loss is null || resident.Loss is not null || resident.IsLosslessOnly || resident.TableChecksum != record.SourceTableChecksum)
        {
            return false;
        }

        lossy = new LossyCopy(record.BlockTableChecksum, record.Loss);
        return true;
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
