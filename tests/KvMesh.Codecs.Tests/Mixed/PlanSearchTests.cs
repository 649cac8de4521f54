using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Mixed;
using KvMesh.Codecs.Tests.Blocks;

namespace KvMesh.Codecs.Tests.Mixed;

public sealed class PlanSearchTests
{
    private static readonly KvCodec[] Candidates =
        [.. new[] { "int8-kc", "kivi4-g64", "kivi2-g32", "ecq-0.5" }.Select(name => CodecRegistry.Standard.Find(name)!)];

    [Fact]
    public void Sizes_are_those_of_the_sections_that_the_plan_writes()
    {
        var (block, costs) = Measured();
        foreach (var share in new[] { 0.2, 0.25, 0.35, 0.5 })
        {
            Assert.True(PlanSearch.TryForBytes(costs, share * block.Bytes.Length, out var plan));
            Assert.InRange(plan.Bytes, 0, share * block.Bytes.Length);
            var encoded = block.Encode(plan.Codec, firstPosition: 256);
            Assert.Equal(DecodeResult.Ok, EncodedBlock.TryOpen(encoded, out var opened));
            long bytes = 0;
            for (var section = 0; section < opened.Header.SectionCount; section++)
            {
                bytes += opened.Section(section).Length;
            }

            Assert.Equal(plan.Bytes, bytes);
        }
    }

    /// <summary>The best of all plans whose bytes leave room for one more step is no better.</summary>
    [Fact]
    public void No_plan_of_the_bytes_before_the_last_step_is_better()
    {
        var random = new Random(31);
        for (var round = 0; round < 40; round++)
        {
            var costs = Drawn(random, layers: 3);
            var all = All(costs).ToArray();
            var step = Enumerable.Range(0, costs.Tensors).Max(tensor => costs.Of(tensor).ToArray().Max(cost => cost.Bytes) - costs.Of(tensor).ToArray().Min(cost => cost.Bytes));
            foreach (var share in new[] { 0.15, 0.3, 0.5, 0.8 })
            {
                var (least, most) = (all.Min(cost => cost.Bytes), all.Max(cost => cost.Bytes));
                var budget = least + (share * (most - least));
                Assert.True(PlanSearch.TryForBytes(costs, budget, out var plan));
                Assert.True(plan.Bytes <= budget);
                var best = all.Where(cost => cost.Bytes <= budget - step).Select(cost => PlanSearch.RelativeError(costs, cost.Error)).DefaultIfEmpty(double.PositiveInfinity).Min();
                Assert.True(plan.Error <= best * 1.000001, $"round {round}: {plan.Error} in {plan.Bytes} of {budget} bytes, {best} a step before");
            }
        }
    }

    [Fact]
    public void No_codec_for_all_keys_and_one_for_all_values_is_better()
    {
        var random = new Random(32);
        for (var round = 0; round < 60; round++)
        {
            var costs = Drawn(random, layers: 1 + random.Next(6));
            for (var keys = 0; keys < Candidates.Length; keys++)
            {
                for (var values = 0; values < Candidates.Length; values++)
                {
                    int[] choices = [.. Enumerable.Range(0, costs.Tensors).Select(tensor => tensor % 2 == 0 ? keys : values)];
                    var uniform = PlanSearch.Sum(costs, choices);
                    Assert.True(PlanSearch.TryForBytes(costs, uniform.Bytes, out var plan));
                    Assert.True(plan.Error <= PlanSearch.RelativeError(costs, uniform.Error));
                    Assert.True(PlanSearch.TryForError(costs, PlanSearch.RelativeError(costs, uniform.Error) * 1.000001, out plan));
                    Assert.True(plan.Bytes <= uniform.Bytes);
                }
            }
        }
    }

    [Fact]
    public void A_ceiling_of_error_is_kept_and_a_higher_one_saves_bytes()
    {
        var (block, costs) = Measured();
        var last = double.PositiveInfinity;
        foreach (var ceiling in new[] { 0.02, 0.1, 0.3, 0.9 })
        {
            Assert.True(PlanSearch.TryForError(costs, ceiling, out var plan));
            Assert.InRange(plan.Error, 0, ceiling);
            Assert.True(plan.Bytes < last, $"{ceiling}: {plan.Bytes} after {last}");
            last = plan.Bytes;
        }

        Assert.True(last < block.Bytes.Length / 4);
    }

    [Fact]
    public void What_nothing_fits_is_told()
    {
        var costs = Measured().Costs;
        Assert.False(PlanSearch.TryForBytes(costs, 1000, out var plan));
        Assert.Null(plan);
        Assert.False(PlanSearch.TryForError(costs, 1e-9, out plan));
        Assert.Null(plan);
    }

    [Fact]
    public void The_same_costs_give_the_same_plan()
    {
        var costs = Drawn(new Random(33), layers: 8);
        var bytes = PlanSearch.Sum(costs, new int[costs.Tensors]).Bytes / 2;
        Assert.True(PlanSearch.TryForBytes(costs, bytes, out var plan));
        Assert.True(PlanSearch.TryForBytes(costs, bytes, out var again));
        Assert.Equal(plan.Choices, again.Choices);
        Assert.Equal(plan.Codec.Parameters.ToArray(), again.Codec.Parameters.ToArray());
    }

    [Fact]
    public void The_layer_that_loses_most_keeps_most()
    {
        TensorCost[] Row(double weight) => [new(800, 0.0001 * weight), new(450, 0.01 * weight), new(300, 0.3 * weight), new(320, 0.04 * weight)];
        var costs = new TensorCosts(Candidates, [Row(1), Row(1), Row(50), Row(1)]);
        Assert.True(PlanSearch.TryForBytes(costs, 800 + (3 * 320), out var plan));
        Assert.Equal([3, 3, 0, 3], plan.Choices);
    }

    [Fact]
    public void Costs_that_do_not_fit_their_codecs_are_refused()
    {
        Assert.Throws<ArgumentException>(() => new TensorCosts(Candidates, []));
        Assert.Throws<ArgumentException>(() => new TensorCosts(Candidates, [new TensorCost[4], new TensorCost[3]]));
        Assert.Throws<ArgumentException>(() => new TensorCosts(Candidates, [new TensorCost[4], [default, default, default, new TensorCost(1, double.NaN)]]));
        Assert.Throws<ArgumentException>(() => TensorCosts.Measure(Candidates, BlockCase.Of(BlockCase.SmallLayout).Geometry, [], 0, new CodecScratch()));
    }

    [Fact]
    public void Latents_states_and_layers_that_read_others_are_measured_as_far_as_they_are_there()
    {
        var block = BlockCase.Of(BlockCase.OddLayout);
        var costs = TensorCosts.Measure([CodecRegistry.Standard.Find("int8")!, CodecRegistry.Standard.Find("raw")!], block.Geometry, [block.Bytes], 64, new CodecScratch());
        Assert.True(PlanSearch.TryForBytes(costs, block.Bytes.Length, out var plan));
        Assert.Equal(DecodeResult.Ok, BlockCase.TryDecode(block.Encode(plan.Codec, 64), block.Geometry, out _));
    }

    private static (BlockCase Block, TensorCosts Costs) Measured()
    {
        var block = BlockCase.Of(new KvLayout(KvElement.BFloat16, 256, Enumerable.Repeat(LayerLayout.Full(2, 128), 2)));
        return (block, TensorCosts.Measure(Candidates, block.Geometry, [block.Bytes], 256, new CodecScratch()));
    }

    private static TensorCosts Drawn(Random random, int layers) => new(Candidates,
        [.. Enumerable.Range(0, 2 * layers).Select(_ => Candidates.Select((_, index) => new TensorCost(1000 - (200 * index) + random.Next(300), Math.Pow(6, index) * random.NextDouble())).ToArray())]);

    private static IEnumerable<TensorCost> All(TensorCosts costs)
    {
        var choices = new int[costs.Tensors];
        while (true)
        {
            yield return PlanSearch.Sum(costs, choices);
            var place = 0;
            while (place < choices.Length && ++choices[place] == costs.Candidates.Count)
            {
                choices[place++] = 0;
            }

            if (place == choices.Length)
            {
                yield break;
            }
        }
    }
}
