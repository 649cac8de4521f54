using KvMesh.Simulation.Traces;
using KvMesh.TestKit;

namespace KvMesh.Simulation.Tests.Traces;

public sealed class ConversationGeneratorTests
{
    [Fact]
    public void Equal_seeds_make_equal_prompts()
    {
        var options = new ConversationOptions { Seed = 5, Requests = 300 };

        var first = ConversationGenerator.Generate(options);
        var second = ConversationGenerator.Generate(options);

        Assert.Equal(300, first.Count);
        Assert.All(first.Zip(second), pair => Assert.Equal(pair.First.BlockIds.ToArray(), pair.Second.BlockIds.ToArray()));
    }

    [Fact]
    public void Prompts_share_prefixes_and_also_bring_new_blocks()
    {
        var model = new LruModel(capacity: int.MaxValue);
        foreach (var request in ConversationGenerator.Generate(new ConversationOptions { Requests = 1000 }))
        {
            model.Serve(request);
        }

        Assert.InRange(model.HitRatio, 0.5, 0.95);
    }

    [Fact]
    public void Workloads_of_different_seeds_share_system_prompts_and_nothing_else()
    {
        var first = Ids(1);
        var second = Ids(2);

        Assert.All(first.Intersect(second), id => Assert.True(id < 1UL << 32, $"block {id} is no system prompt"));
        Assert.NotEmpty(first.Intersect(second));

        static HashSet<ulong> Ids(int seed) =>
            [.. ConversationGenerator.Generate(new ConversationOptions { Seed = seed, Requests = 300 }).SelectMany(request => request.BlockIds.ToArray())];
    }

    [Fact]
    public void Arrivals_never_go_back()
    {
        var times = ConversationGenerator.Generate(new ConversationOptions { Requests = 200 }).ConvertAll(request => request.TimestampMs);

        Assert.Equal(times.Order(), times);
    }
}
