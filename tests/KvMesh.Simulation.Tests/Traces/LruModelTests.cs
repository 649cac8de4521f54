using KvMesh.Simulation.Traces;
using KvMesh.TestKit;

namespace KvMesh.Simulation.Tests.Traces;

public sealed class LruModelTests
{
    [Fact]
    public void The_tail_of_the_oldest_request_goes_first()
    {
        var model = new LruModel(capacity: 3);
        model.Serve(new PromptRequest(0, new ulong[] { 1, 2, 3 }, 3));
        model.Serve(new PromptRequest(0, new ulong[] { 9 }, 1));
        model.Serve(new PromptRequest(0, new ulong[] { 1, 2, 3 }, 3));

        Assert.Equal(2, model.HitBlocks);
    }

    [Fact]
    public void A_block_after_a_hole_is_no_hit()
    {
        var model = new LruModel(capacity: 10);
        model.Serve(new PromptRequest(0, new ulong[] { 1, 2, 3 }, 3));
        model.Serve(new PromptRequest(0, new ulong[] { 1, 7, 3 }, 3));

        Assert.Equal(1, model.HitBlocks);
        Assert.Equal(6, model.Blocks);
    }
}
