using KvMesh.Engine.Blocks;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Integrity;

/// <summary>Bytes that change in memory while nobody reads them are found all the same.</summary>
public sealed class ScrubberTests
{
    [Fact]
    public async Task Damage_that_nobody_reads_is_found_and_the_block_is_gone()
    {
        using var node = new TestEngine(options =>
        {
            options.ScrubBytesPerSecond = 256 << 20;
            options.MaxBlocks = 1024;
        });
        node.PutContent("whole"u8, TestBytes.Payload(1, 100_000));
        node.PutContent("damaged"u8, TestBytes.Payload(2, 100_000));
        Assert.True(node.Engine.TryRead(node.Tenant, "damaged"u8, ReadIntent.Inspect, out var read));
        node.Tenant.Host.Arena.Data(read.PayloadOffset, 100_000)[77_777] ^= 1;
        read.Dispose();

        await Eventually.Holds(() => node.Engine.Snapshot().Integrity.QuarantinedBlocks == 1, "the quarantine of the damaged block");
        await Eventually.Holds(() => !node.Engine.TryInspect(node.Tenant, "damaged"u8, out _), "the end of the damaged block");
        await Eventually.Holds(() => node.Engine.Snapshot().Integrity.ScrubbedBlocks > 10, "more passes over what is left");
        Assert.Equal(TestBytes.Payload(1, 100_000), node.Get("whole"u8));
        Assert.Equal(1, node.Engine.Snapshot().Integrity.QuarantinedBlocks);
    }
}
