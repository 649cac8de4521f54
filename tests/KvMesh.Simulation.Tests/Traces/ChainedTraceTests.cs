using KvMesh.Simulation.Traces;

namespace KvMesh.Simulation.Tests.Traces;

public sealed class ChainedTraceTests
{
    [Fact]
    public void Equal_blocks_after_equal_prefixes_have_one_number()
    {
        var trace = ChainedTrace.Of([Prompt(1, 2, 3), Prompt(1, 2, 4), Prompt(2, 3)]);

        Assert.Equal([0, 1, 2], trace.ChainOf(0).ToArray());
        Assert.Equal([0, 1, 3], trace.ChainOf(1).ToArray());
        Assert.Equal([4, 5], trace.ChainOf(2).ToArray());
        Assert.Equal([-1, 0, 1, 1, -1, 4], Enumerable.Range(0, trace.DistinctBlocks).Select(trace.ParentOf));
    }

    [Fact]
    public void Tenants_share_nothing()
    {
        var trace = ChainedTrace.Of([Prompt(1, 2) with { Tenant = "a" }, Prompt(1, 2) with { Tenant = "b" }, Prompt(1, 2) with { Tenant = "a" }]);

        Assert.Equal((4, 2), (trace.DistinctBlocks, trace.TenantCount));
        Assert.Equal(trace.ChainOf(0).ToArray(), trace.ChainOf(2).ToArray());
        Assert.Equal([0, 1, 0], trace.Tenants);
    }

    [Fact]
    public void A_partial_block_is_asked_for_and_has_no_number()
    {
        var trace = ChainedTrace.Of([new PromptRequest(0, new ulong[] { 1, 2 }, 1), new PromptRequest(0, new ulong[] { 7 }, 0)]);

        Assert.Equal((3, 1, 1), (trace.AskedBlocks, trace.Touches, trace.DistinctBlocks));
        Assert.True(trace.ChainOf(1).IsEmpty);
    }

    [Fact]
    public void Requests_of_one_moment_still_have_an_order()
    {
        var trace = ChainedTrace.Of([Prompt(1), Prompt(2), Prompt(3), Prompt(4) with { TimestampMs = 1 }]);

        Assert.Equal([1L, 2, 3, TimeSpan.TicksPerMillisecond], trace.Times);
    }

    private static PromptRequest Prompt(params ulong[] blocks) => new(0, blocks, blocks.Length);
}
