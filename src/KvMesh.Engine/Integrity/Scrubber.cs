using KvMesh.Engine.Blocks;
using KvMesh.Engine.Coding;
using KvMesh.Engine.Telemetry;

namespace KvMesh.Engine.Integrity;

/// <summary>
/// Walks all blocks in RAM, again and again, at a limited rate, and compares each payload with its table.
/// </summary>
internal sealed class Scrubber(BlockEngine engine, BlockRegistry registry, EngineCounters counters, long bytesPerSecond)
{
    /// <summary>Buckets looked at in one step: an empty index of two million passes in about a minute.</summary>
    private const int BucketsPerStep = 4096;

    /// <summary>Steps per second.</summary>
    public const int StepsPerSecond = 10;

    private int _bucket;
    private long _debtBytes;

    /// <summary>One step of a pass. One thread.</summary>
    public void Step()
    {
        if (bytesPerSecond == 0)
        {
            return;
        }

        var budgetBytes = bytesPerSecond / StepsPerSecond;
        _debtBytes = Math.Max(0, _debtBytes - budgetBytes);
        for (var looked = 0; looked < BucketsPerStep && _debtBytes < Math.Max(budgetBytes, 1); looked++)
        {
            for (var block = registry.Index.Bucket(_bucket); block is not null; block = block.Next)
            {
                Visit(block);
            }

            if (++_bucket == registry.Index.BucketCount)
            {
                _bucket = 0;
                counters.ScrubPasses++;
            }
        }
    }

    private void Visit(Block block)
    {
        if (registry.IsVisible(block) && block.TryOpen())
        {
            using var read = new BlockRead(engine, block, mustVerify: true);
            read.Verify();
            _debtBytes += block.PayloadBytes;
            Interlocked.Increment(ref counters.ScrubbedBlocks);
            Interlocked.Add(ref counters.ScrubbedBytes, block.PayloadBytes);
        }

        if (Volatile.Read(ref block.Encoded) is { } copy && copy.TryOpen())
        {
            VisitEncoded(block, copy);
            copy.Close();
        }
    }

    /// <summary>A bad copy goes, and its block with it if it has no other.</summary>
    private void VisitEncoded(Block block, EncodedCopy copy)
    {
        _debtBytes += copy.Form.PayloadBytes;
        Interlocked.Increment(ref counters.ScrubbedBlocks);
        Interlocked.Add(ref counters.ScrubbedBytes, copy.Form.PayloadBytes);
        if (copy.IsIntact)
        {
            engine.NoteVerified(copy.Form.PayloadBytes);
            return;
        }

        // Nobody loads the block or takes its raw extent away meanwhile: what it is may change with the copy. Who does now finds the copy himself, or the
        // next pass does.
        if (block.TryOpen())
        {
            using var read = new BlockRead(engine, block, mustVerify: false);
            if (TakeBad(block, copy))
            {
                Interlocked.Increment(ref counters.Mismatches);
            }
        }
        else if (block.TryClaim(resident: false))
        {
            var isTaken = TakeBad(block, copy);
            if (isTaken && block.IsOnDisk)
            {
                registry.NoteDemoted(block);
            }

            block.UnclaimAndCheckFree(resident: false);
            if (isTaken)
            {
                NoteLeft(block);
            }
        }
    }

    private bool TakeBad(Block block, EncodedCopy copy)
    {
        var bad = registry.TakeEncoded(block, copy);
        bad?.Close();
        return bad is not null;
    }

    /// <summary>The bad copy was all that RAM had. The one below may be forgotten at the same moment: one of the two sees that no copy is left.</summary>
    private void NoteLeft(Block block)
    {
        if (block.IsOnDisk || block.IsInRam)
        {
            Interlocked.Increment(ref counters.Mismatches);
            return;
        }

        engine.Quarantine(block);
    }
}
