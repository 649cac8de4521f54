using System.Runtime.InteropServices;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;
using KvMesh.Worker.Model.Cache;
using KvMesh.Worker.Model.Compute;

namespace KvMesh.Worker.Tests.Model;

public sealed class TransformerTests
{
    private const int TokenCount = 90;

    public static TheoryData<int> PlainRopes => [.. Enumerable.Range(0, Shapes.All.Count).Where(index => Shapes.All[index].Rope == "null")];

    public static TheoryData<int> AllShapes => [.. Enumerable.Range(0, Shapes.All.Count)];

    [Theory]
    [MemberData(nameof(PlainRopes))]
    public void Logits_are_those_of_the_formulas(int shape)
    {
        using var model = new TestModel(Shapes.All[shape]);
        using var run = new ModelRun(model.Path);
        var tokens = model.Tokens(40);
        var expected = new PlainLlama(model.Shape, model.Weights).Logits(tokens);
        var actual = run.Logits(tokens);

        for (var token = 0; token < tokens.Length; token++)
        {
            for (var index = 0; index < model.Shape.Vocabulary; index++)
            {
                Assert.True(Math.Abs(expected[token][index] - actual[token][index]) < 1e-4, $"{model.Shape}: token {token}, logit {index}: {expected[token][index]} and {actual[token][index]}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(AllShapes))]
    public void A_token_has_the_same_logits_however_its_prefix_was_split(int shape)
    {
        using var model = new TestModel(Shapes.All[shape]);
        using var run = new ModelRun(model.Path);
        var tokens = model.Tokens(TokenCount);
        var whole = run.Logits(tokens);

        AssertSame(whole, run.Logits(tokens, Enumerable.Repeat(1, TokenCount)));
        AssertSame(whole, run.Logits(tokens, [16, 16, 16, 16, 16, 10]));
        AssertSame(whole, run.Logits(tokens, [1, 33, 2, 7, 31, 8, 3, 5]));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(7)]
    public void A_token_has_the_same_logits_with_any_number_of_threads(int threads)
    {
        using var model = new TestModel(Shapes.Grouped);
        using var one = new ModelRun(model.Path);
        using var other = new ModelRun(model.Path, threads);
        var tokens = model.Tokens(TokenCount);

        AssertSame(one.Logits(tokens), other.Logits(tokens, [50, 39, 1]));
    }

    [Fact]
    public void A_token_has_the_same_logits_at_every_level_of_instructions()
    {
        foreach (var element in (string[])["F32", "BF16"])
        {
            using var model = new TestModel(Shapes.Grouped with { Element = element, Layers = 1 });
            var tokens = model.Tokens(37);
            using var best = new ModelRun(model.Path);
            var expected = best.Logits(tokens);
            foreach (var level in SimdLevels.OfThisProcessor)
            {
                using var run = new ModelRun(model.Path, level: level);

                AssertSame(expected, run.Logits(tokens, [30, 6, 1]));
            }
        }
    }

    [Fact]
    public void Sequences_that_are_computed_together_do_not_see_each_other()
    {
        using var model = new TestModel(Shapes.Grouped);
        using var run = new ModelRun(model.Path);
        int[][] sequences = [model.Tokens(50, 1), model.Tokens(21, 2), model.Tokens(64, 3), model.Tokens(9, 4)];
        var alone = sequences.Select(tokens => run.Logits(tokens)).ToArray();
        var pages = sequences.Select(tokens => run.Pages(tokens.Length)).ToArray();

        // Prompts of four lengths at once, but for their last tokens; then a token of each.
        run.Pass.Run([.. sequences.Select((tokens, index) => new ModelInput(tokens.AsMemory(0, tokens.Length - 1), 0, pages[index], tokens.Length - 1))]);
        var row = 0;
        foreach (var expected in alone)
        {
            for (var token = 0; token < expected.Length - 1; token++)
            {
                AssertSame(expected[token], run.Pass.Logits(row++));
            }
        }

        run.Pass.Run([.. sequences.Select((tokens, index) => new ModelInput(tokens.AsMemory(tokens.Length - 1), tokens.Length - 1, pages[index]))]);
        for (var index = 0; index < sequences.Length; index++)
        {
            AssertSame(alone[index][^1], run.Pass.Logits(index));
        }
    }

    [Theory]
    [InlineData(KvElement.BFloat16)]
    [InlineData(KvElement.Float16)]
    public void Logits_are_the_same_in_every_order_and_size_of_blocks(KvElement element)
    {
        using var model = new TestModel(Shapes.Grouped);
        var tokens = model.Tokens(70);
        float[][]? expected = null;
        foreach (var order in Enum.GetValues<BlockOrder>())
        {
            foreach (var blockTokens in (int[])[1, 16, 24, 128])
            {
                using var run = new ModelRun(model.Path, format: loaded => KvPageFormat.Of(loaded.Config, element, blockTokens, order));
                var logits = run.Logits(tokens, [32, 33, 1, 4]);
                AssertSame(expected ??= logits, logits);
            }
        }

        using var exact = new ModelRun(model.Path);
        var most = exact.Logits(tokens).Zip(expected!, (one, other) => one.Zip(other, (left, right) => MathF.Abs(left - right)).Max()).Max();
        Assert.True(most is > 0 and < 0.1f, $"rounding keys and values to {element} changes logits by {most}");
    }

    [Fact]
    public void Blocks_hold_what_their_layout_says()
    {
        using var model = new TestModel(Shapes.Plain);
        using var run = new ModelRun(model.Path, format: loaded => KvPageFormat.Of(loaded.Config, KvElement.Float16, 8));
        using var pages = run.Pages(8);
        run.Logits(model.Tokens(8), [8], pages);
        var geometry = new BlockGeometry(pages.Format.Layout, pages.Format.Order, BlockRegion.Whole(pages.Format.Layout));
        Assert.Equal(geometry.Bytes, pages.Block(0).Length);

        // The key of the first token of the first layer is not turned: it is a product that a test can compute.
        var token = model.Tokens(8)[0];
        var row = model.Weights["model.embed_tokens.weight"].Skip(token * model.Shape.Hidden).Take(model.Shape.Hidden).Select(value => (double)value).ToArray();
        var scale = 1 / Math.Sqrt(row.Average(value => value * value) + 1e-5);
        var normed = row.Select((value, channel) => value * scale * model.Weights["model.layers.0.input_layernorm.weight"][channel]).ToArray();
        foreach (var (kind, name) in ((PlaneKind, string)[])[(PlaneKind.Key, "k_proj"), (PlaneKind.Value, "v_proj")])
        {
            var plane = geometry.Planes[geometry.IndexOf(0, kind)];
            var matrix = model.Weights[$"model.layers.0.self_attn.{name}.weight"];
            for (var output = 0; output < model.Shape.KvHeads * model.Shape.HeadChannels; output++)
            {
                var expected = normed.Select((value, input) => value * matrix[(output * model.Shape.Hidden) + input]).Sum();
                var stored = MemoryMarshal.Cast<byte, Half>(pages.Block(0)[plane.RowOffset(output / model.Shape.HeadChannels, 0)..])[output % model.Shape.HeadChannels];
                Assert.Equal(expected, (double)stored, 0.005);
            }
        }
    }

    [Fact]
    public void Blocks_that_were_moved_elsewhere_go_on_as_if_nothing_had_happened()
    {
        using var model = new TestModel(Shapes.Grouped);
        using var writer = new ModelRun(model.Path, format: loaded => KvPageFormat.Of(loaded.Config, KvElement.BFloat16, 16));
        using var reader = new ModelRun(model.Path, threads: 1, format: loaded => KvPageFormat.Of(loaded.Config, KvElement.BFloat16, 16));
        var tokens = model.Tokens(60);
        using var written = writer.Pages(60);
        var expected = writer.Logits(tokens, [60], written);

        // The first three blocks come as bytes; the rest is computed.
        using var pulled = reader.Pages(60);
        for (var block = 0; block < 3; block++)
        {
            written.Block(block).CopyTo(pulled.Block(block));
        }

        reader.Pass.Run(new ModelInput(tokens.AsMemory(48), 48, pulled, 12));
        for (var token = 48; token < 60; token++)
        {
            AssertSame(expected[token], reader.Pass.Logits(token - 48));
        }

        Assert.True(written.Block(3)[..].SequenceEqual(pulled.Block(3)));
    }

    [Fact]
    public void Layers_begin_and_end_in_their_order()
    {
        using var model = new TestModel(Shapes.All[2]);
        using var run = new ModelRun(model.Path);
        using var pages = run.Pages(20);
        var watched = new WatchedPages(pages);
        run.Logits(model.Tokens(20), [15, 5], watched);

        Assert.Equal("b0 e0 b1 e1 b2 e2 b0 e0 b1 e1 b2 e2", string.Join(' ', watched.Calls));
    }

    [Fact]
    public void A_layer_that_cannot_be_read_ends_the_pass_and_the_next_one_works()
    {
        using var model = new TestModel(Shapes.Plain);
        using var run = new ModelRun(model.Path);
        using var pages = run.Pages(20);
        var tokens = model.Tokens(20);
        var broken = new WatchedPages(pages) { FailsAtLayer = 1 };

        Assert.Throws<IOException>(() => run.Pass.Run(new ModelInput(tokens, 0, broken)));
        Assert.Equal(0, run.Pass.LogitRows);
        AssertSame(run.Logits(tokens), run.Logits(tokens, [20], pages));
    }

    [Fact]
    public void What_does_not_fit_the_model_is_refused_before_anything_is_computed()
    {
        using var model = new TestModel(Shapes.Plain);
        using var run = new ModelRun(model.Path);
        using var pages = run.Pages(32);
        using var others = new ModelRun(model.Path, format: loaded => KvPageFormat.OfSingles(loaded.Config with { KvHeads = 2 }, 16));
        using var otherPages = others.Pages(32);

        Refuses("token 263 is not from 0 to 262", new ModelInput(new[] { 263 }, 0, pages));
        Refuses("token -1 is not", new ModelInput(new[] { -1 }, 0, pages));
        Refuses("0 tokens at position 0", new ModelInput(Array.Empty<int>(), 0, pages, 0));
        Refuses("1 tokens at position 256", new ModelInput(new[] { 1 }, 256, pages));
        Refuses("at position -1", new ModelInput(new[] { 1 }, -1, pages));
        Refuses("room for 32 tokens; 33 are needed", new ModelInput(new[] { 1 }, 32, pages));
        Refuses("logits of 2 tokens out of 1", new ModelInput(new[] { 1 }, 0, pages, 2));
        Refuses("the model has 2, 4 and 16", new ModelInput(new[] { 1 }, 0, otherPages));
        Refuses("the same pages", new ModelInput(new[] { 1 }, 0, pages), new ModelInput(new[] { 1 }, 0, pages));
        Refuses("a pass of 0 tokens");

        void Refuses(string problem, params ModelInput[] inputs) =>
            Assert.Contains(problem, Assert.Throws<ArgumentException>(() => run.Pass.Run(inputs)).Message, StringComparison.Ordinal);
    }

    internal static void AssertSame(float[][] expected, float[][] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (var token = 0; token < expected.Length; token++)
        {
            AssertSame(expected[token], actual[token]);
        }
    }

    private static void AssertSame(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual) =>
        Assert.True(MemoryMarshal.AsBytes(expected).SequenceEqual(MemoryMarshal.AsBytes(actual)), "logits differ in their bits");

    private sealed class WatchedPages(IKvPages inner) : IKvPages
    {
        public List<string> Calls { get; } = [];

        public int FailsAtLayer { get; init; } = -1;

        public KvPageFormat Format => inner.Format;

        public int CapacityTokens => inner.CapacityTokens;

        public Span<byte> Block(int index) => inner.Block(index);

        public void BeginLayer(int layer)
        {
            Calls.Add($"b{layer}");
            if (layer == FailsAtLayer)
            {
                throw new IOException("the writer is gone");
            }
        }

        public void EndLayer(int layer) => Calls.Add($"e{layer}");
    }
}
