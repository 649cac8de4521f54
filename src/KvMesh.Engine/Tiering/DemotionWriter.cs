using System.Text;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Coding;
using KvMesh.Engine.Disk;
using KvMesh.Engine.Events;
using KvMesh.Engine.Telemetry;

namespace KvMesh.Engine.Tiering;

/// <summary>
/// Writes blocks from where they lie in RAM to disk. Small ones are gathered and written together, since a granule takes a disk about as
/// long as a megabyte: what was given to <see cref="TryWrite"/> is on disk after <see cref="Flush"/>. One thread at a time.
/// </summary>
/// <param name="encoder">Writes blocks in fewer bytes, where the policy wants that; null: all go as they lie.</param>
internal sealed class DemotionWriter(DiskTier disk, BlockRegistry registry, EngineCounters counters, PayloadEncoder? encoder = null) : IDisposable
{
    /// <summary>Largest extent that is gathered: above it the copy costs more than the system call that it saves.</summary>
    private const int GatheredBytes = 256 * 1024;

    private readonly DiskBatch _batch = disk.CreateBatch();
    private readonly List<Pending> _gathered = [];
    private DiskLocation[] _locations = [];

    /// <summary>Blocks that wait for <see cref="Flush"/>.</summary>
    public int Gathered => _gathered.Count;

    /// <summary>Takes a block, to write it now or with the next ones. False when the disk refuses.</summary>
    /// <param name="block">The block.</param>
    /// <param name="mayEncode">Whether there is time to encode it.</param>
    public bool TryWrite(Block block, bool mayEncode = true)
    {
        if (block.Scope.IsPurged || block.WritingSequence != 0)
        {
            return true;
        }

        if (MayWriteEncoded(block) && block.Encoded is { } copy && copy.TryOpen())
        {
            var isWritten = TryWriteEncoded(block, copy);
            copy.Close();
            return isWritten;
        }

        if (!block.TryOpen())
        {
            return true;
        }

        // What gets or has a copy with a loss is held until the copy is known: it must not become that copy, nor go back to the one before, meanwhile.
        var read = new BlockRead(null!, block, mustVerify: false);
        var isHeld = false;
        try
        {
            var encoded = mayEncode && encoder is not null ? encoder.Encode(block) : default;
            var memory = encoded.IsNone
                ? block.Tenant.Host.Arena.Data(block.Extent.Offset, (int)block.Extent.AllocatedBytes)
                : encoder!.MemoryOf(encoded);
            return TryWriteOpen(block, read, encoded, memory, ref isHeld);
        }
        finally
        {
            if (!isHeld)
            {
                read.Dispose();
            }
        }
    }

    /// <summary>
    /// Whether what lies encoded in RAM may be written as it lies: the policy of the disk names that codec, and the block does not become another
    /// copy by it.
    /// </summary>
    public bool MayWriteEncoded(Block block) =>
        encoder is not null && Volatile.Read(ref block.Encoded) is { } copy && block.LossyBelow is null
        && copy.Index.BlockTableChecksum == block.TableChecksum && encoder.Accepts(block, copy.Form.Codec);

    /// <summary>Whether writing the block takes the time of a codec, and not only the disk's.</summary>
    public bool TakesCodec(Block block) => encoder is not null && !MayWriteEncoded(block) && (!block.IsResident || encoder.Wants(block));

    private bool TryWriteEncoded(Block block, EncodedCopy copy)
    {
        var isHeld = false;
        return TryWriteOpen(block, default, copy.FormFor(block), copy.Memory, ref isHeld);
    }

    private bool TryWriteOpen(Block block, in BlockRead read, in EncodedExtent encoded, ReadOnlySpan<byte> memory, ref bool isHeld)
    {
        var before = block.Disk;
        var sequence = disk.BeginWrite();

        // First the number, then the look: whoever ends the block looks for a number afterwards.
        Interlocked.Exchange(ref block.WritingSequence, sequence);
        if (block.IsDead)
        {
            EndWrite(block, sequence);
            return true;
        }

        // First the mark, then the value: whoever changes the value sets the mark afterwards.
        Volatile.Write(ref block.IsExpiryNewer, false);
        Interlocked.MemoryBarrier();
        var record = RecordOf(block, sequence, encoded);
        var pending = new Pending(block, sequence, before, record.ExpiresAt, encoded.Lossy, null);
        if (memory.Length <= GatheredBytes && _batch.Fits(record))
        {
            if (!_batch.TryAdd(record, memory))
            {
                if (!Flush())
                {
                    EndWrite(block, sequence);
                    return false;
                }

                _batch.TryAdd(record, memory);
            }

            isHeld = encoded.Lossy is not null || block.LossyBelow is not null;
            _gathered.Add(isHeld ? pending with { Held = read } : pending);
            return true;
        }

        if (!disk.TryAppend(record, memory, out var location))
        {
            EndWrite(block, sequence);
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

        using var activity = EngineActivities.Start("demote blocks");
        activity?.SetTag("kvmesh.blocks", count);
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
                _gathered[index].Held?.Dispose();
            }
        }
        else
        {
            foreach (var pending in _gathered)
            {
                EndWrite(pending.Block, pending.Sequence);
                pending.Held?.Dispose();
            }

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
        if (!block.IsInRam)
        {
            registry.Remove(block, BlockEventKind.Removed);
        }
    }

    public void Dispose() => _batch.Dispose();

    private static DiskRecord RecordOf(Block block, long sequence, in EncodedExtent encoded) => new()
    {
        Sequence = sequence,
        Tenant = block.Tenant.NameBytes,
        Key = block.Key,
        Model = Encoding.UTF8.GetBytes(block.Scope.Model),
        Revision = Encoding.UTF8.GetBytes(block.Scope.Revision),
        Digest = block.Digest,
        Parent = block.Related,
        PayloadBytes = encoded.IsNone ? block.PayloadBytes : encoded.PayloadBytes,
        ExtentBytes = encoded.IsNone ? block.Extent.Bytes : encoded.ExtentBytes,
        TableChecksum = encoded.IsNone ? block.TableChecksum : encoded.TableChecksum,
        TrailerChecksum = encoded.IsNone ? block.TrailerChecksum : encoded.TrailerChecksum,
        Codec = encoded.Codec,
        DecodedBytes = encoded.IsNone ? 0 : block.PayloadBytes,
        DecodedTableChecksum = encoded.IsNone ? 0 : encoded.Lossy?.TableChecksum ?? block.TableChecksum,
        Loss = encoded.Lossy?.Loss ?? block.Loss,
        SourceTableChecksum = encoded.Lossy is null && block.Loss is null ? 0 : block.TableChecksum,
        Flags = block.Flags,
        ScopeEpoch = block.Scope.Epoch,
        Hits = block.Hits,
        ExpiresAt = Volatile.Read(ref block.ExpiresAt),
        LastUse = block.LastUse,
    };

    /// <summary>The record is written: the block is told, unless its copy changed meanwhile. The older record of the two goes.</summary>
    private void Publish(in Pending pending, DiskLocation location)
    {
        Attach(pending, location);
        EndWrite(pending.Block, pending.Sequence);
    }

    private void Attach(in Pending pending, DiskLocation location)
    {
        var block = pending.Block;
        if (!block.TryMoveOnDisk(pending.Before, location))
        {
            disk.Release(location, durable: true);
            return;
        }

        block.LossyBelow = pending.Lossy;

        // First the copy, then the look whether it may be: whoever says that it may not looks for a copy afterwards.
        Interlocked.MemoryBarrier();
        if (!pending.Before.IsNone)
        {
            disk.Release(pending.Before, durable: true);
        }

        disk.MarkRedundant(location, redundant: block.IsInRam);
        if (block.IsDead)
        {
            // It was removed while it was written: whoever removed it may not have seen the copy.
            disk.Release(location, durable: true);
        }
        else if (Volatile.Read(ref block.ExpiresAt) != pending.ExpiresAt || disk.IsDisowned(pending.Sequence) || (pending.Lossy is not null && block.IsLosslessOnly))
        {
            // Whoever changed it looked for a copy after that, and this one before it looked for a change: one sees the other. Where it was
            // changed back since, the record has been disowned: the next process would not take it.
            GiveUpCopy(block);
        }
    }

    private void EndWrite(Block block, long sequence)
    {
        Volatile.Write(ref block.WritingSequence, 0);
        disk.EndWrite(sequence);
    }

    private readonly record struct Pending(Block Block, long Sequence, DiskLocation Before, long ExpiresAt, LossyCopy? Lossy, BlockRead? Held);
}
