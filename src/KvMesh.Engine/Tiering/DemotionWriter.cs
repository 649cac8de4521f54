using System.Text;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Disk;
using KvMesh.Engine.Events;
using KvMesh.Engine.Telemetry;

namespace KvMesh.Engine.Tiering;

/// <summary>
/// Writes blocks from where they lie in RAM to disk. Small ones are gathered and written together, since a granule takes a disk about as
/// long as a megabyte: what was given to <see cref="TryWrite"/> is on disk after <see cref="Flush"/>. One thread at a time.
/// </summary>
internal sealed class DemotionWriter(DiskTier disk, BlockRegistry registry, EngineCounters counters) : IDisposable
{
    /// <summary>Largest extent that is gathered: above it the copy costs more than the system call that it saves.</summary>
    private const int GatheredBytes = 256 * 1024;

    private readonly DiskBatch _batch = disk.CreateBatch();
    private readonly List<Pending> _gathered = [];
    private DiskLocation[] _locations = [];

    /// <summary>Blocks that wait for <see cref="Flush"/>.</summary>
    public int Gathered => _gathered.Count;

    /// <summary>Takes a block, to write it now or with the next ones. False when the disk refuses.</summary>
    public bool TryWrite(Block block)
    {
        if (block.Scope.IsPurged || !block.TryOpen())
        {
            return true;
        }

        using var read = new BlockRead(null!, block, mustVerify: false);
        var before = block.Disk;

        // First the mark, then the value: whoever changes the value sets the mark afterwards.
        Volatile.Write(ref block.IsExpiryNewer, false);
        Interlocked.MemoryBarrier();
        var record = RecordOf(block);
        var pending = new Pending(block, before, record.ExpiresAt);
        var memory = block.Tenant.Host.Arena.Data(block.Extent.Offset, (int)block.Extent.AllocatedBytes);
        if (block.Extent.AllocatedBytes <= GatheredBytes && _batch.Fits(record))
        {
            if (!_batch.TryAdd(record, memory))
            {
                if (!Flush())
                {
                    return false;
                }

                _batch.TryAdd(record, memory);
            }

            _gathered.Add(pending);
            return true;
        }

        if (!disk.TryAppend(record, memory, out var location))
        {
            Interlocked.Increment(ref counters.DiskDropped);
            return false;
        }

        Publish(pending, location);
        return true;
    }

    /// <summary>Writes what was gathered. False: the disk refused, and none of it was kept.</summary>
    public bool Flush()
    {
        var count = _gathered.Count;
        if (count == 0)
        {
            return true;
        }

        if (_locations.Length < count)
        {
            _locations = new DiskLocation[count];
        }

        var isWritten = disk.TryAppend(_batch, _locations);
        if (isWritten)
        {
            for (var index = 0; index < count; index++)
            {
                Publish(_gathered[index], _locations[index]);
            }
        }
        else
        {
            Interlocked.Add(ref counters.DiskDropped, count);
        }

        _gathered.Clear();
        return isWritten;
    }

    /// <summary>
    /// Gives up the copy on disk, whose expiry is later than the block's is now: it may not come back. A block without another copy goes
    /// with it. Any thread.
    /// </summary>
    public void GiveUpCopy(Block block)
    {
        var location = block.Disk;
        if (location.IsNone || !block.TryMoveOnDisk(location, default))
        {
            return;
        }

        disk.Release(location, durable: true);
        if (!block.IsResident)
        {
            registry.Remove(block, BlockEventKind.Removed);
        }
    }

    public void Dispose() => _batch.Dispose();

    private static DiskRecord RecordOf(Block block) => new()
    {
        Tenant = block.Tenant.NameBytes,
        Key = block.Key,
        Model = Encoding.UTF8.GetBytes(block.Scope.Model),
        Revision = Encoding.UTF8.GetBytes(block.Scope.Revision),
        Digest = block.Digest,
        Parent = block.Related,
        PayloadBytes = block.PayloadBytes,
        ExtentBytes = block.Extent.Bytes,
        TableChecksum = block.TableChecksum,
        TrailerChecksum = block.TrailerChecksum,
        Flags = block.Flags,
        ScopeEpoch = block.Scope.Epoch,
        Hits = block.Hits,
        ExpiresAt = Volatile.Read(ref block.ExpiresAt),
        LastUse = block.LastUse,
    };

    /// <summary>The record is written: the block is told, unless its copy changed meanwhile. The older record of the two goes.</summary>
    private void Publish(in Pending pending, DiskLocation location)
    {
        var block = pending.Block;
        if (!block.TryMoveOnDisk(pending.Before, location))
        {
            disk.Release(location, durable: true);
            return;
        }

        if (!pending.Before.IsNone)
        {
            disk.Release(pending.Before, durable: true);
        }

        disk.MarkRedundant(location, redundant: block.IsResident);
        if (block.IsDead)
        {
            // It was removed while it was written: whoever removed it may not have seen the copy.
            disk.Release(location, durable: true);
        }
        else if (Volatile.Read(ref block.ExpiresAt) != pending.ExpiresAt)
        {
            // Whoever changed it looked for a copy after that, and this one before it looked for a change: one sees the other.
            GiveUpCopy(block);
        }
    }

    private readonly record struct Pending(Block Block, DiskLocation Before, long ExpiresAt);
}
