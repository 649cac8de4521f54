using KvMesh.Engine.Retention;

namespace KvMesh.Engine.Tests.Retention;

public sealed class WTinyLfuPolicyTests : RetentionPolicyContract
{
    [Fact]
    public void Blocks_asked_for_often_survive_a_scan()
    {
        var cache = new ChainCache(Create(), capacity: 100);
        for (var round = 0; round < 4; round++)
        {
            for (var id = 0ul; id < 80; id++)
            {
                cache.Serve([id]);
            }
        }

        for (var id = 1000ul; id < 2000; id++)
        {
            cache.Serve([id]);
        }

        // The sketch may take a stranger for one that was asked for before.
        Assert.InRange(Chain(0, 80).Count(cache.Blocks.ContainsKey), 70, 80);
    }

    [Fact]
    public void A_sketch_never_estimates_less_than_was_seen_also_when_it_grows()
    {
        var sketch = new FrequencySketch();
        for (var count = 0; count < 9; count++)
        {
            for (var id = 0ul; id < 100; id++)
            {
                sketch.Add(id << 40, kept: 100);
            }
        }

        sketch.Add(1, kept: 5000);

        Assert.All(Chain(0, 100), id => Assert.InRange(sketch.Estimate(id << 40), 9, 15));
        Assert.InRange(sketch.Estimate(77ul << 20), 0, 9);
    }

    [Fact]
    public void What_a_sketch_saw_long_ago_counts_less()
    {
        var sketch = new FrequencySketch();
        for (var count = 0; count < 12; count++)
        {
            sketch.Add(5, kept: 100);
        }

        for (var id = 1000ul; id < 40_000; id++)
        {
            sketch.Add(id * 0x9E37_79B9_7F4A_7C15, kept: 100);
        }

        Assert.InRange(sketch.Estimate(5), 0, 11);
    }

    private protected override IRetentionPolicy<ChainBlock> Create() => RetentionPolicies.Create<ChainBlock>(RetentionKind.WTinyLfu);

    /// <summary>With one counter of a row for each block nearly all would: ten were seen for each.</summary>
    [Fact]
    public void Of_many_that_were_seen_once_few_seem_to_have_been_seen_more_than_twice()
    {
        const int Kept = 1000;
        var sketch = new FrequencySketch();
        var random = new Random(1);
        var fingerprints = Enumerable.Range(0, 10 * Kept).Select(_ => (ulong)random.NextInt64()).ToArray();
        foreach (var fingerprint in fingerprints)
        {
            sketch.Add(fingerprint, Kept);
        }

        Assert.InRange(fingerprints.Count(fingerprint => sketch.Estimate(fingerprint) > 2), 0, Kept / 10);
    }
}
