using KvMesh.Codecs.Layouts;
using KvMesh.Worker.Model.Cache;
using KvMesh.Worker.Model.Compute;
using KvMesh.Worker.Model.Sampling;

namespace KvMesh.Worker.Tests.Model;

public sealed class GenerationTests
{
    private const int Generated = 12;
    private const int BlockTokens = 8;

    [Fact]
    public void Tokens_are_the_same_with_a_cached_prefix_and_without_and_after_a_move()
    {
        using var model = new TestModel(Shapes.Grouped with { Element = "BF16" });
        using var first = NewRun(model, 2);
        using var second = NewRun(model, 1);
        for (var request = 0; request < 200; request++)
        {
            var random = new Random(request);
            var prompt = model.Tokens(20 + random.Next(30), request);
            var rule = random.Next(3) == 0
                ? SamplingRule.Greedy
                : new SamplingRule { Temperature = 0.5f + random.NextSingle(), TopK = random.Next(2) * 40, TopP = 1 - (random.Next(2) * 0.1f), Seed = (ulong)request };
            using var whole = first.Pages(prompt.Length + Generated);
            var expected = Generate(first, whole, prompt, 0, [prompt.Length], rule);

            // The full blocks of a part of the prefix come as bytes to another process; a piece is computed, then the rest token by token.
            var cached = random.Next(prompt.Length / BlockTokens) * BlockTokens;
            using var moved = second.Pages(prompt.Length + Generated);
            for (var block = 0; block < cached / BlockTokens; block++)
            {
                whole.Block(block).CopyTo(moved.Block(block));
            }

            var piece = 1 + random.Next(prompt.Length - cached);
            Assert.Equal(expected, Generate(second, moved, prompt, cached, [piece, .. Enumerable.Repeat(1, prompt.Length - cached - piece)], rule));
        }
    }

    private static ModelRun NewRun(TestModel model, int threads) =>
        new(model.Path, threads, format: loaded => KvPageFormat.Of(loaded.Config, KvElement.BFloat16, BlockTokens));

    private static List<int> Generate(ModelRun run, PooledKvPages pages, int[] prompt, int position, int[] pieces, SamplingRule rule)
    {
        foreach (var piece in pieces)
        {
            run.Pass.Run(new ModelInput(prompt.AsMemory(position, piece), position, pages));
            position += piece;
        }

        var tokens = new List<int>();
        while (true)
        {
            tokens.Add(TokenSampler.Choose(run.Pass.Logits(0), rule, position));
            if (tokens.Count == Generated)
            {
                return tokens;
            }

            run.Pass.Run(new ModelInput(new[] { tokens[^1] }, position++, pages));
        }
    }
}
