using System.Text;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Disk;
using KvMesh.Engine.Events;
using KvMesh.Engine.Host;
using KvMesh.Engine.Telemetry;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Engine.Tiering;

/// <summary>
/// Moves blocks between RAM and disk. Going down happens ahead of need, from the end that leaves next, so that eviction only
/// forgets a copy; a victim that was not written in time is dropped and counted, and a put never waits for the disk.
/// </summary>
internal sealed class DiskMover(DiskTier disk, BlockRegistry registry, Evictor evictor, EngineCounters counters, TimeProvider time)
{
    /// <summary>Part of an arena that is kept clean, written ahead at its leaving end.</summary>
    private const int AheadDivisor = 16;

    private const int BlocksPerStep = 256;
    private const int DepthPerStep = 8192;

    /// <summary>Longest wait for another thread that is loading the same block.</summary>
    private static readonly TimeSpan LoadPatience = TimeSpan.FromSeconds(5);

    private readonly List<Block> _candidates = [];

    /// <summary>Writes what leaves next, when an arena is getting full. One thread.</summary>
    public void DemoteAhead(IEnumerable<HostTier> hosts)
    {
        foreach (var host in hosts)
        {
            var aheadBytes = host.CapacityBytes / AheadDivisor;
            if (!host.IsAtBlockLimit && host.CapacityBytes - host.AllocatedBytes > 2 * aheadBytes)
            {
                continue;
            }

            var isFull = IsDiskFull();
            _candidates.Clear();
            host.CollectNextToLeave(
                _candidates, BlocksPerStep, DepthPerStep, block => !block.IsOnDisk && !block.IsDead && (!isFull || block.Hits > 0));
            var bytes = 0L;
            foreach (var block in _candidates)
            {
                if (bytes > aheadBytes)
                {
                    break;
                }

                bytes += block.PayloadBytes;
                Store(block);
            }
        }
    }

    /// <summary>Writes all of RAM that is not on disk, most valuable first, until the budget is spent. Returns blocks left behind.</summary>
    public int SaveAll(IEnumerable<HostTier> hosts, TimeSpan budget)
    {
        var start = time.GetTimestamp();
        var left = 0;
        foreach (var block in hosts.SelectMany(host => host.CollectMostValuable()).Where(block => !block.IsOnDisk))
        {
            if (time.GetElapsedTime(start) > budget || !Store(block))
            {
                left++;
            }
        }

        disk.Sync();
        return left;
    }

    /// <summary>
    /// Brings a block from disk into RAM and opens it. The first use of a copy below is kept at the end that leaves next; a
    /// second one makes it an equal of the others. False: a miss.
    /// </summary>
    public bool TryLoadAndOpen(Block block)
    {
        var start = time.GetTimestamp();
        var wait = new SpinWait();
        while (!block.TryClaim(resident: false))
        {
            if (block.TryOpen())
            {
                return true;
            }

            if (block.IsDead || time.GetElapsedTime(start) > LoadPatience)
            {
                return false;
            }

            wait.SpinOnce();
        }

        return LoadClaimed(block);
    }

    private bool LoadClaimed(Block block)
    {
        var host = block.Tenant.Host;
        var bytes = Extent.BytesFor(block.PayloadBytes, Trailer.NameBytes(block.Scope, block.Key.Length));
        if (!evictor.TryAllocate(block.Tenant, bytes, out var extent))
        {
            block.UnclaimAndCheckFree(resident: false);
            return false;
        }

        var memory = host.Arena.Data(extent.Offset, (int)extent.AllocatedBytes);
        var location = block.Disk;
        if (location.IsNone || !disk.TryRead(location, block.Digest, memory) || !IsIntact(host, block, extent))
        {
            host.Free(block.Tenant, extent, wasPublished: false);
            block.UnclaimAndCheckFree(resident: false);
            if (block.Disk == location)
            {
                Interlocked.Increment(ref counters.Quarantined);
                registry.Remove(block, BlockEventKind.Removed);
            }

            return false;
        }

        var tableChecksum = block.TableChecksum;
        block.Extent = extent;
        block.IsVerified = true;
        host.Own(block);
        host.Descriptors.Publish(extent.Descriptor, Trailer.Write(host.Arena, block) with
        {
            ExpiresAt = block.ExpiresAt,
            LeaseUntil = block.LeaseUntil,
            Hits = block.Hits,
            LastUse = block.LastUse,
        });
        System.Diagnostics.Debug.Assert(block.TableChecksum == tableChecksum, "The table was verified a moment ago.");
        if (block.UnclaimAndCheckFree(resident: true))
        {
            host.Free(block.Tenant, extent, wasPublished: true);
            return false;
        }

        host.Retain(block, lowInterest: block.Hits == 0);
        registry.NotePromoted(block);
        return block.TryOpen();
    }

    private bool IsIntact(HostTier host, Block block, in Extent extent)
    {
        var table = Trailer.Table(host.Arena, extent, block.PayloadBytes);
        var isIntact = ChecksumTable.Seal(table) == block.TableChecksum
            && ChecksumTable.FirstMismatch(host.Arena.Data(extent.Offset, block.PayloadBytes), table) < 0;
        Interlocked.Increment(ref counters.VerifiedBlocks);
        Interlocked.Add(ref counters.VerifiedBytes, block.PayloadBytes);
        if (!isIntact)
        {
            Interlocked.Increment(ref counters.Mismatches);
        }

        return isIntact;
    }

    private bool Store(Block block)
    {
        if (block.Companion is { IsOnDisk: false } companion && !block.IsCompanion)
        {
            Write(companion);
        }

        return Write(block);
    }

    /// <summary>Writes one block from where it lies. False when the disk refuses.</summary>
    private bool Write(Block block)
    {
        if (block.Scope.IsPurged || !block.TryOpen())
        {
            return true;
        }

        using var read = new BlockRead(null!, block, mustVerify: false);
        var extent = block.Extent;
        var record = new DiskRecord
        {
            Tenant = block.Tenant.NameBytes,
            Key = block.Key,
            Model = Encoding.UTF8.GetBytes(block.Scope.Model),
            Revision = Encoding.UTF8.GetBytes(block.Scope.Revision),
            Digest = block.Digest,
            Parent = block.Related,
            PayloadBytes = block.PayloadBytes,
            ExtentBytes = extent.Bytes,
            TableChecksum = block.TableChecksum,
            TrailerChecksum = block.TrailerChecksum,
            Flags = block.Flags,
            ScopeEpoch = block.Scope.Epoch,
            Hits = block.Hits,
            ExpiresAt = Volatile.Read(ref block.ExpiresAt),
            LastUse = block.LastUse,
        };
        if (!disk.TryAppend(record, block.Tenant.Host.Arena.Data(extent.Offset, (int)extent.AllocatedBytes), out var location))
        {
            Interlocked.Increment(ref counters.DiskDropped);
            return false;
        }

        block.Disk = location;
        disk.MarkRedundant(location, redundant: true);
        if (block.IsDead)
        {
            // It was removed while it was written: whoever removed it may not have seen the copy.
            disk.Release(location, durable: true);
        }

        return true;
    }

    /// <summary>Whether what is written now drives out what is wanted.</summary>
    public bool IsDiskFull()
    {
        var snapshot = disk.Snapshot();
        return snapshot.LiveBytes - snapshot.RedundantBytes > snapshot.CapacityBytes / 10 * 8;
    }
}
