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
internal sealed class DiskMover(DiskTier disk, BlockRegistry registry, Evictor evictor, EngineCounters counters, TimeProvider time) : IDisposable
{
    /// <summary>Part of an arena that is kept clean, written ahead at its leaving end.</summary>
    private const int AheadDivisor = 16;

    /// <summary>Blocks of one step, a hundred of which are done in a second: tiny ones come by the hundred thousand.</summary>
    private const int BlocksPerStep = 2048;
    private const int DepthPerStep = 8192;

    /// <summary>Longest wait for another thread that is loading the same block.</summary>
    private static readonly TimeSpan LoadPatience = TimeSpan.FromSeconds(5);

    private readonly List<Block> _candidates = [];
    private readonly DemotionWriter _writer = new(disk, registry, counters);

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
                _candidates, BlocksPerStep, DepthPerStep, block => NeedsCopy(block) && !block.IsDead && (!isFull || block.Hits > 0));
            var bytes = 0L;
            foreach (var block in _candidates)
            {
                if (bytes > aheadBytes)
                {
                    break;
                }

                bytes += block.HeldBytes;
                Store(block);
            }

            _writer.Flush();
        }
    }

    /// <summary>Writes all of RAM that is not on disk, most valuable first, until the budget is spent. Returns blocks left behind.</summary>
    public int SaveAll(IEnumerable<HostTier> hosts, TimeSpan budget)
    {
        var start = time.GetTimestamp();
        var left = 0;
        foreach (var block in hosts.SelectMany(host => host.CollectMostValuable()).Where(NeedsCopy))
        {
            if (time.GetElapsedTime(start) > budget || !Store(block))
            {
                left++;
            }
        }

        var gathered = _writer.Gathered;
        left += _writer.Flush() ? 0 : gathered;
        disk.Sync();
        return left;
    }

    /// <summary>
    /// The block expires at another time than it did when its copy on disk was written. A copy that would live too long is given up before
    /// this returns, so that no crash brings it back, and is written again when the block is next to leave; one that would end too
    /// early is replaced then, and counts until it is. A block that only the disk has is brought into RAM first.
    /// </summary>
    public void NoteExpiry(Block block, bool isSooner)
    {
        if (!block.IsOnDisk || !(block.TryOpen() || TryLoadAndOpen(block)))
        {
            if (isSooner)
            {
                _writer.GiveUpCopy(block);
            }

            return;
        }

        using var read = new BlockRead(null!, block, mustVerify: false);
        block.Tenant.Host.Arena.Descriptor(block.Extent.Descriptor).ExpiresAt = Volatile.Read(ref block.ExpiresAt);
        if (isSooner)
        {
            _writer.GiveUpCopy(block);
        }
        else
        {
            Volatile.Write(ref block.IsExpiryNewer, true);
        }
    }

    public void Dispose() => _writer.Dispose();

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

    /// <summary>Writes a block, its companion first. False when the disk refuses.</summary>
    private bool Store(Block block)
    {
        if (block.Companion is { } companion && !block.IsCompanion && NeedsCopy(companion))
        {
            _writer.TryWrite(companion);
        }

        return _writer.TryWrite(block);
    }

    private static bool NeedsCopy(Block block) => !block.IsOnDisk || Volatile.Read(ref block.IsExpiryNewer);

    /// <summary>Whether what is written now drives out what is wanted.</summary>
    public bool IsDiskFull()
    {
        var snapshot = disk.Snapshot();
        return snapshot.LiveBytes - snapshot.RedundantBytes > snapshot.CapacityBytes / 10 * 8;
    }
}
