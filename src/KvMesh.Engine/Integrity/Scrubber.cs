using KvMesh.Engine.Blocks;
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
    }
}
