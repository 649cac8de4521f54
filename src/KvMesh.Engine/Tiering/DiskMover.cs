using KvMesh.Engine.Blocks;
using KvMesh.Engine.Coding;
using KvMesh.Engine.Disk;
using KvMesh.Engine.Host;
using KvMesh.Engine.Telemetry;

namespace KvMesh.Engine.Tiering;

/// <summary>
/// Moves blocks from RAM to disk: ahead of need, from the end that leaves next, so that eviction only forgets a copy; a victim that was not
/// written in time is dropped and counted, and a put never waits for the disk.
/// </summary>
/// <param name="coding">Encodes blocks on their way down; null: nothing is encoded.</param>
internal sealed class DiskMover(
    DiskTier disk, BlockRegistry registry, Promoter promoter, EngineCounters counters, TimeProvider time, DiskCoding? coding = null) : IDisposable
{
    /// <summary>Part of an arena that is kept clean, written ahead at its leaving end.</summary>
    private const int AheadDivisor = 16;

    /// <summary>Blocks of one step, a hundred of which are done in a second: tiny ones come by the hundred thousand.</summary>
    private const int BlocksPerStep = 2048;
    private const int DepthPerStep = 8192;

    /// <summary>Time for which blocks are encoded before those that need none are looked for again: they would leave unwritten meanwhile.</summary>
    private static readonly TimeSpan CodecTurn = TimeSpan.FromMilliseconds(50);

    private readonly List<Block> _candidates = [];
    private readonly List<Block> _slow = [];
    private readonly DemotionWriter _writer = new(disk, registry, counters, coding?.Encoder);

    /// <summary>
    /// Writes what leaves next, when an arena is getting full: first what is written as it lies, then what a codec writes, for a turn. One thread.
    /// </summary>
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
                _candidates, BlocksPerStep, DepthPerStep, block => NeedsCopy(block) && !block.IsDead && (!isFull || IsWorthIt(block)));
            _slow.Clear();
            var bytes = 0L;
            foreach (var block in _candidates)
            {
                if (bytes > aheadBytes)
                {
                    break;
                }

                bytes += block.HeldBytes;
                if (_writer.TakesCodec(block))
                {
                    _slow.Add(block);
                }
                else
                {
                    Store(block, mayEncode: true);
                }
            }

            _writer.Flush();
            EncodeForATurn();
        }
    }

    /// <summary>
    /// Writes all of RAM that is not on disk, most valuable first, until the budget is spent: as it lies, since time is what is short. Returns
    /// blocks left behind.
    /// </summary>
    public int SaveAll(IEnumerable<HostTier> hosts, TimeSpan budget)
    {
        var start = time.GetTimestamp();
        var left = 0;
        foreach (var block in hosts.SelectMany(host => host.CollectMostValuable()).Where(NeedsCopy))
        {
            if (time.GetElapsedTime(start) > budget || !Store(block, mayEncode: false))
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
    /// early is replaced then, and counts until it is. A block that only the disk has is brought into RAM first. A copy that is being written
    /// and would live too long is disowned: its writer gives it up.
    /// </summary>
    public void NoteExpiry(Block block, bool isSooner)
    {
        if (isSooner)
        {
            registry.DisownWrite(block);
        }

        if (!block.IsOnDisk || !(block.TryOpen() || promoter.TryLoadAndOpen(block, out _)))
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

    /// <summary>
    /// Gives up a copy on disk that has lost something, of a block that may not any more. The caller holds the block open, so that its bytes in RAM
    /// stay meanwhile; they are written again before they leave. One that is being written is given up when it is.
    /// </summary>
    public void GiveUpLossyCopy(Block block)
    {
        // Reclamation may move it at the same moment.
        while (block is { IsOnDisk: true, LossyBelow: not null, IsDead: false })
        {
            _writer.GiveUpCopy(block);
        }
    }

    public void Dispose()
    {
        _writer.Dispose();
        coding?.Dispose();
    }

    private void EncodeForATurn()
    {
        var start = time.GetTimestamp();
        foreach (var block in _slow)
        {
            Store(block, mayEncode: true);
            if (time.GetElapsedTime(start) > CodecTurn)
            {
                break;
            }
        }

        _writer.Flush();
    }

    /// <summary>Writes a block, its companion first. False when the disk refuses.</summary>
    private bool Store(Block block, bool mayEncode)
    {
        if (block.Companion is { } companion && !block.IsCompanion && NeedsCopy(companion))
        {
            _writer.TryWrite(companion, mayEncode);
        }

        if (block.IsResident || _writer.MayWriteEncoded(block) || !block.IsInRam || !promoter.TryLoadAndOpen(block, out _))
        {
            return _writer.TryWrite(block, mayEncode);
        }

        // It lies here in a form that is not wanted there.
        using var read = new BlockRead(null!, block, mustVerify: false);
        return _writer.TryWrite(block, mayEncode);
    }

    /// <summary>
    /// Whether a block goes to a disk that is full. Where nothing is known of what is used again, the newest drives out the oldest; what only
    /// the disk has goes on from it.
    /// </summary>
    private static bool IsWorthIt(Block block) =>
        block.Tenant.Retention.ExpectedUses(block) is not { } expected || block.Tenant.Admission.Takes(expected) || block.IsFollowedBelowRam;

    private static bool NeedsCopy(Block block) => !block.IsOnDisk || Volatile.Read(ref block.IsExpiryNewer);

    /// <summary>Whether what is written now drives out what is wanted.</summary>
    public bool IsDiskFull()
    {
        var snapshot = disk.Snapshot();
        return snapshot.LiveBytes - snapshot.RedundantBytes > snapshot.CapacityBytes / 10 * 8;
    }
}
