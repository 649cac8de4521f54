using KvMesh.Engine.Blocks;
using KvMesh.Engine.Coding;
using KvMesh.Engine.Disk;
using KvMesh.Engine.Events;
using KvMesh.Engine.Host;
using KvMesh.Engine.Telemetry;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Engine.Tiering;

/// <summary>Gives blocks that lie encoded in RAM, or on disk, an extent of their own, on the thread of whoever asked. Any thread.</summary>
/// <param name="disk">Null: there is none.</param>
/// <param name="ofDisk">Reads those that lie encoded on disk; null: they cannot be read.</param>
/// <param name="ofRam">Reads those that lie encoded in RAM; null: there are none.</param>
internal sealed class Promoter(
    DiskTier? disk, BlockRegistry registry, Evictor evictor, EngineCounters counters, TimeProvider time, PayloadDecoder? ofDisk, PayloadDecoder? ofRam = null)
{
    /// <summary>Longest wait for another thread that is loading the same block.</summary>
    public static readonly TimeSpan LoadPatience = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Brings a block from disk, or from its encoded copy, into RAM as it is, and opens it. The first use of a copy below is kept at the end that leaves next; a
    /// second one makes it an equal of the others. False: a miss.
    /// </summary>
    /// <param name="wasOnDisk">Whether RAM had no copy of it.</param>
    public bool TryLoadAndOpen(Block block, out bool wasOnDisk)
    {
        wasOnDisk = false;
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

        return LoadClaimed(block, out wasOnDisk);
    }

    private bool LoadClaimed(Block block, out bool wasOnDisk)
    {
        wasOnDisk = false;
        var host = block.Tenant.Host;
        var bytes = Extent.BytesFor(block.PayloadBytes, Trailer.NameBytes(block.Scope, block.Key.Length, block.Loss));
        if (!evictor.TryAllocate(block.Tenant, bytes, out var extent))
        {
            block.UnclaimAndCheckFree(resident: false);
            return false;
        }

        var loss = block.Loss;
        var isLost = true;
        if (!TryDecode(block, host, extent) && !(wasOnDisk = ReferenceEquals(block.Loss, loss) && TryFill(block, host, extent, out isLost)))
        {
            host.Free(block.Tenant, extent, wasPublished: false);
            block.UnclaimAndCheckFree(resident: false);
            if (isLost && ReferenceEquals(block.Loss, loss))
            {
                Interlocked.Increment(ref counters.Quarantined);
                registry.Remove(block, BlockEventKind.Removed);
            }

            return false;
        }

        if (!registry.TryPlace(block, extent, PublishDescriptor))
        {
            host.Free(block.Tenant, extent, wasPublished: false);
            block.UnclaimAndCheckFree(resident: false);
            return false;
        }

        if (block.UnclaimAndCheckFree(resident: true))
        {
            host.Free(block.Tenant, extent, wasPublished: true);
            return false;
        }

        // Before it may be chosen to leave: it stands at the end that leaves next, and whoever asked for it would find it gone again.
        var isOpen = block.TryOpen();
        host.Retain(block, lowInterest: block.Hits == 0);
        if (wasOnDisk)
        {
            registry.NotePromoted(block);
        }

        return isOpen;
    }

    /// <summary>
    /// Decodes the copy in RAM of a claimed block into an extent. One whose bytes are not what was written goes; the block may be another copy's from
    /// then on.
    /// </summary>
    private bool TryDecode(Block block, HostTier host, in Extent extent)
    {
        if (ofRam is null || Volatile.Read(ref block.Encoded) is not { } copy || !copy.TryOpen())
        {
            return false;
        }

        var isDecoded = ofRam.TryLoad(block, copy, host, extent);
        copy.Close();
        NoteVerified(block, isDecoded);
        if (!isDecoded)
        {
            registry.TakeEncoded(block, copy)?.Close();
        }

        return isDecoded;
    }

    /// <summary>
    /// Brings payload and table of the record into an extent, also when reclamation moves it meanwhile: then it is read where it is by now. True when they
    /// are what was sealed. <paramref name="isLost"/>: the record is where it should be, or nowhere, and cannot be read.
    /// </summary>
    private bool TryFill(Block block, HostTier host, in Extent extent, out bool isLost)
    {
        DiskLocation location;
        do
        {
            location = block.Disk;
            if (!location.IsNone && TryFill(block, location, host, extent))
            {
                isLost = false;
                return true;
            }

            isLost = block.Disk == location;
        }
        while (!isLost);
        return false;
    }

    private bool TryFill(Block block, DiskLocation location, HostTier host, in Extent extent)
    {
        if (!disk!.IsEncoded(location, out var storedBytes))
        {
            return disk.TryRead(location, block.Digest, host.Arena.Data(extent.Offset, (int)extent.AllocatedBytes)) && IsIntact(host, block, extent);
        }

        var isIntact = ofDisk is not null && ofDisk.TryLoad(block, location, storedBytes, host, extent);
        if (isIntact || block.Disk == location)
        {
            NoteVerified(block, isIntact);
        }

        return isIntact;
    }

    private static void PublishDescriptor(Block block)
    {
        var host = block.Tenant.Host;
        var tableChecksum = block.TableChecksum;
        block.IsVerified = true;
        host.Own(block);
        host.Descriptors.Publish(block.Extent.Descriptor, Trailer.Write(host.Arena, block) with
        {
            ExpiresAt = block.ExpiresAt,
            LeaseUntil = Math.Max(block.LeaseUntil, block.HeldUntil),
            Hits = block.Hits,
            LastUse = block.LastUse,
        });
        System.Diagnostics.Debug.Assert(block.TableChecksum == tableChecksum, "The table was verified a moment ago.");
    }

    private bool IsIntact(HostTier host, Block block, in Extent extent)
    {
        var table = Trailer.Table(host.Arena, extent, block.PayloadBytes);
        var isIntact = ChecksumTable.Seal(table) == block.TableChecksum
            && ChecksumTable.FirstMismatch(Trailer.Payload(host.Arena, extent, block.PayloadBytes), table) < 0;
        NoteVerified(block, isIntact);
        return isIntact;
    }

    private void NoteVerified(Block block, bool isIntact)
    {
        Interlocked.Increment(ref counters.VerifiedBlocks);
        Interlocked.Add(ref counters.VerifiedBytes, block.PayloadBytes);
        if (!isIntact)
        {
            Interlocked.Increment(ref counters.Mismatches);
        }
    }
}
