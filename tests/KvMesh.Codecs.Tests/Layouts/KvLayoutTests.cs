using KvMesh.Codecs.Layouts;

namespace KvMesh.Codecs.Tests.Layouts;

public sealed class KvLayoutTests
{
    private static readonly LayerLayout Layer = LayerLayout.Full(8, 128);

    /// <summary>Bytes a token, and bytes of 16 and 256 tokens, of models as clients store them.</summary>
    [Theory]
    [InlineData("llama-3-8b", 1, KvElement.BFloat16, 131_072, 2_097_152, 33_554_432)]
    [InlineData("mistral-7b", 1, KvElement.BFloat16, 131_072, 2_097_152, 33_554_432)]
    [InlineData("llama-3-8b", 1, KvElement.Fp8E4M3, 65_536, 1_048_576, 16_777_216)]
    [InlineData("mistral-7b", 2, KvElement.BFloat16, 65_536, 1_048_576, 16_777_216)]
    [InlineData("llama-3-70b", 8, KvElement.BFloat16, 40_960, 655_360, 10_485_760)]
    [InlineData("llama-3-70b", 4, KvElement.BFloat16, 81_920, 1_310_720, 20_971_520)]
    [InlineData("llama-3-70b", 1, KvElement.BFloat16, 327_680, 5_242_880, 83_886_080)]
    [InlineData("llama-3-70b", 8, KvElement.Fp8E4M3, 20_480, 327_680, 5_242_880)]
    [InlineData("qwen2.5-7b", 1, KvElement.BFloat16, 57_344, 917_504, 14_680_064)]
    [InlineData("qwen2.5-7b", 2, KvElement.BFloat16, 28_672, 458_752, 7_340_032)]
    [InlineData("qwen2.5-32b", 1, KvElement.BFloat16, 262_144, 4_194_304, 67_108_864)]
    [InlineData("qwen3-8b", 1, KvElement.BFloat16, 147_456, 2_359_296, 37_748_736)]
    [InlineData("deepseek-v3", 1, KvElement.BFloat16, 70_272, 1_124_352, 17_989_632)]
    [InlineData("deepseek-v3", 8, KvElement.BFloat16, 70_272, 1_124_352, 17_989_632)]
    [InlineData("deepseek-v3", 1, KvElement.Fp8E4M3, 35_136, 562_176, 8_994_816)]
    [InlineData("deepseek-v3-fp8-ds-mla", 1, KvElement.BFloat16, 40_016, 640_256, 10_244_096)]
    [InlineData("llama-2-7b", 1, KvElement.BFloat16, 524_288, 8_388_608, 134_217_728)]
    [InlineData("llama-3.1-405b", 1, KvElement.BFloat16, 516_096, 8_257_536, 132_120_576)]
    [InlineData("deepseek-v2", 1, KvElement.BFloat16, 69_120, 1_105_920, 17_694_720)]
    public void Blocks_of_known_models_have_the_bytes_that_clients_store(
        string model, int ranks, KvElement element, long perToken, long of16, long of256)
    {
        var layout = KnownModels.Find(model)!.With(element: element);
        var rank = BlockRegion.Rank(layout, ranks - 1, ranks);
        Assert.Equal(perToken, layout.BlockBytes(rank with { TokenCount = 1 }));
        Assert.Equal(of16, layout.BlockBytes(rank with { TokenCount = 16 }));
        Assert.Equal(of256, layout.BlockBytes(rank with { TokenCount = 256 }));
    }

    [Theory]
    [InlineData("llama-3-8b", 1, 1_048_576)]
    [InlineData("llama-3-70b", 8, 131_072)]
    [InlineData("qwen2.5-7b", 1, 524_288)]
    [InlineData("deepseek-v3", 1, 294_912)]
    public void One_layer_has_the_bytes_that_clients_store(string model, int ranks, long bytes)
    {
        var layout = KnownModels.Find(model)!;
        Assert.Equal(bytes, layout.BlockBytes(BlockRegion.Rank(layout, 0, ranks) with { FirstLayer = 3, LayerCount = 1 }));
    }

    [Fact]
    public void Known_models_are_found_in_either_case_and_all_are_sound()
    {
        Assert.NotNull(KnownModels.Find("LLaMA-3-8B"));
        Assert.Null(KnownModels.Find("llama-17"));
        Assert.All(KnownModels.Names, name => Assert.NotNull(KnownModels.Find(name)));
    }

    [Fact]
    public void The_hash_is_the_same_on_every_machine_and_version()
    {
        Assert.Equal(GoldenHash, Convert.ToHexStringLower(KnownModels.Find("llama-3.1-8b")!.Hash));
        Assert.Equal(KnownModels.Find("llama-3-8b"), KnownModels.Find("llama-3-8b"));
    }

    // Named blocks on disks: a change here loses them.
    private const string GoldenHash = "37e1b67edd033a15b09cef10ef1146b95858e9e04ab94de9792dfc459c3544fa";

    [Fact]
    public void Everything_that_changes_the_bytes_changes_the_hash()
    {
        var rope = new RopeSpec { Theta = 10_000, RotaryChannels = 128 };
        KvLayout[] layouts =
        [
            new(KvElement.BFloat16, 256, [Layer, Layer], rope),
            new(KvElement.Float16, 256, [Layer, Layer], rope),
            new(KvElement.BFloat16, 128, [Layer, Layer], rope),
            new(KvElement.BFloat16, 256, [Layer], rope),
            new(KvElement.BFloat16, 256, [Layer, Layer]),
            new(KvElement.BFloat16, 256, [Layer, Layer], rope, KeyStage.Unrotated),
            new(KvElement.BFloat16, 256, [Layer, Layer], rope with { Style = RopeStyle.Interleaved }),
            new(KvElement.BFloat16, 256, [Layer, Layer], rope with { Theta = 500_000 }),
            new(KvElement.BFloat16, 256, [Layer, Layer], rope with { RotaryChannels = 64 }),
            new(KvElement.BFloat16, 256, [Layer, Layer], rope with { Scaling = RopeScaling.Linear, Factor = 4 }),
            new(KvElement.BFloat16, 256, [Layer, Layer], rope with { Scaling = RopeScaling.Llama3, Factor = 4 }),
            new(KvElement.BFloat16, 256, [Layer, Layer], rope with { Scaling = RopeScaling.Yarn, Factor = 4 }),
            new(KvElement.BFloat16, 256, [Layer, Layer], rope with { Scaling = RopeScaling.Yarn, Factor = 4, HighFrequencyFactor = 32 }),
            new(KvElement.BFloat16, 256, [Layer, Layer], rope with { Scaling = RopeScaling.Yarn, Factor = 4, AttentionFactor = 1 }),
            new(KvElement.BFloat16, 256, [Layer, Layer], rope with { Scaling = RopeScaling.Ntk, Factor = 4 }),
            new(KvElement.BFloat16, 256, [Layer, Layer], rope with { Scaling = RopeScaling.LongRope, Factor = 4, PairFactors = [.. Enumerable.Repeat(1.0, 64)] }),
            new(KvElement.BFloat16, 256, [Layer, Layer], rope with { Scaling = RopeScaling.LongRope, Factor = 4, PairFactors = [.. Enumerable.Repeat(1.5, 64)] }),
            new(KvElement.BFloat16, 256, [Layer, LayerLayout.Full(4, 128)], rope),
            new(KvElement.BFloat16, 256, [Layer, LayerLayout.Sliding(8, 128, 512)], rope),
            new(KvElement.BFloat16, 256, [Layer, LayerLayout.Sliding(8, 128, 1024)], rope),
            new(KvElement.BFloat16, 256, [Layer, Layer with { KeyAlias = 0 }], rope),
            new(KvElement.BFloat16, 256, [Layer, Layer with { ValueAlias = 0 }], rope),
            new(KvElement.BFloat16, 256, [Layer, LayerLayout.Latent(512, 128)], rope),
            new(KvElement.BFloat16, 256, [Layer, LayerLayout.State(4096)], rope),
            new(KvElement.BFloat16, 256, [Layer, LayerLayout.None], rope),
        ];
        Assert.Equal(layouts.Length, layouts.Select(layout => Convert.ToHexString(layout.Hash)).Distinct().Count());
    }

    [Fact]
    public void How_queries_read_heads_is_not_in_the_hash() =>
        Assert.Equal(new KvLayout(KvElement.BFloat16, 16, [Layer]), new KvLayout(KvElement.BFloat16, 16, [Layer with { QueryHeads = 32 }]));

    [Fact]
    public void Aliases_lead_to_the_layer_that_stores_and_stay_there()
    {
        var layout = new KvLayout(KvElement.BFloat16, 16, [Layer, Layer with { KeyAlias = 0, ValueAlias = 0 }, Layer with { KeyAlias = 1 }]);
        Assert.Equal([0, 0, 0], Enumerable.Range(0, 3).Select(layout.KeyLayer));
        Assert.Equal([0, 0, 2], Enumerable.Range(0, 3).Select(layout.ValueLayer));
        Assert.All(Enumerable.Range(0, 3), layer => Assert.Equal(layout.KeyLayer(layer), layout.KeyLayer(layout.KeyLayer(layer))));
        Assert.Equal(0, layout.Planes(1).Length);
        Assert.Equal(PlaneKind.Value, Assert.Single(layout.Planes(2).ToArray()).Kind);
        Assert.Equal(3L * 8 * 128 * 2 * 16, layout.BlockBytes(16));
    }

    [Fact]
    public void One_global_layer_may_serve_all_upper_ones()
    {
        // YOCO: the lower half slides, one layer keeps everything, the upper half reads it.
        LayerLayout[] layers =
        [
            .. Enumerable.Repeat(LayerLayout.Sliding(8, 128, 1024), 4), Layer, .. Enumerable.Repeat(Layer with { KeyAlias = 4, ValueAlias = 4 }, 3),
        ];
        var layout = new KvLayout(KvElement.BFloat16, 256, layers);
        Assert.Equal(5L * 2 * 8 * 128 * 2 * 256, layout.BlockBytes(256));
        Assert.Equal((0, 5000), layout.NeededTokens(7, 5000));
        Assert.Equal((3976, 1024), layout.NeededTokens(0, 5000));
        Assert.Equal((0, 100), layout.NeededTokens(0, 100));
    }

    [Fact]
    public void Query_heads_find_their_key_head()
    {
        var layout = new KvLayout(
            KvElement.BFloat16, 16, [LayerLayout.Full(2, 64) with { QueryHeads = 8 }, LayerLayout.Full(2, 64) with { QueryHeads = 4, QueryGroups = [0, 0, 0, 1] }]);
        Assert.Equal([0, 0, 0, 0, 1, 1, 1, 1], Enumerable.Range(0, 8).Select(head => layout.KvHeadOf(0, head)));
        Assert.Equal([0, 0, 0, 1], Enumerable.Range(0, 4).Select(head => layout.KvHeadOf(1, head)));
        Assert.Throws<ArgumentOutOfRangeException>(() => layout.KvHeadOf(1, 4));
    }

    [Fact]
    public void What_is_unsound_is_refused_by_name_and_limit()
    {
        var known = KnownModels.Find("llama-3-8b")!;
        (string Text, Action Make)[] cases =
        [
            ("circle", () => _ = new KvLayout(KvElement.BFloat16, 16, [Layer with { KeyAlias = 1 }, Layer with { KeyAlias = 0 }])),
            ("circle", () => _ = new KvLayout(KvElement.BFloat16, 16, [Layer with { ValueAlias = 0 }])),
            ("names layer 7 of 1", () => _ = new KvLayout(KvElement.BFloat16, 16, [Layer with { KeyAlias = 7 }])),
            ("another shape", () => _ = new KvLayout(KvElement.BFloat16, 16, [LayerLayout.Full(4, 128), Layer with { KeyAlias = 0 }])),
            ("only layers of keys and values", () => _ = new KvLayout(KvElement.BFloat16, 16, [Layer, LayerLayout.Latent(512, 64) with { KeyAlias = 0 }])),
            ("block tokens is 0", () => _ = new KvLayout(KvElement.BFloat16, 0, [Layer])),
            ("layers is 0", () => _ = new KvLayout(KvElement.BFloat16, 16, [])),
            ("key heads is 0", () => _ = new KvLayout(KvElement.BFloat16, 16, [LayerLayout.Full(0, 64)])),
            ("value channels is 100000", () => _ = new KvLayout(KvElement.BFloat16, 16, [Layer with { ValueChannels = 100_000 }])),
            ("not a number format", () => _ = new KvLayout(KvElement.Opaque, 16, [Layer])),
            ("not a number format", () => _ = new KvLayout((KvElement)77, 16, [Layer])),
            ("must be an even number from 2 to 128", () => _ = new KvLayout(KvElement.BFloat16, 16, [Layer], new RopeSpec { Theta = 1e4, RotaryChannels = 130 })),
            ("theta", () => _ = new KvLayout(KvElement.BFloat16, 16, [Layer], new RopeSpec { Theta = double.NaN, RotaryChannels = 128 })),
            ("factors 4 and 1", () => _ = Stretched(rope => rope with { Scaling = RopeScaling.Yarn, LowFrequencyFactor = 4, HighFrequencyFactor = 1 })),
            ("0 factors of pairs; there must be 64", () => _ = Stretched(rope => rope with { Scaling = RopeScaling.LongRope })),
            ("1 factors of pairs; there must be 0", () => _ = Stretched(rope => rope with { PairFactors = [1] })),
            ("attention factor NaN", () => _ = Stretched(rope => rope with { Scaling = RopeScaling.Yarn, AttentionFactor = double.NaN })),
            ("cannot be stretched by 0.5", () => _ = Stretched(rope => rope with { Scaling = RopeScaling.Ntk, Factor = 0.5 })),
            ("scaling 9 is unknown", () => _ = Stretched(rope => rope with { Scaling = (RopeScaling)9 })),
            ("query heads do not fall", () => _ = new KvLayout(KvElement.BFloat16, 16, [Layer with { QueryHeads = 12 }])),
            ("beyond 8", () => _ = new KvLayout(KvElement.BFloat16, 16, [Layer with { QueryHeads = 1, QueryGroups = [8] }])),
            ("head classes", () => _ = new KvLayout(KvElement.BFloat16, 16, [Layer with { HeadClasses = [new HeadClass(4, 64)] }])),
            ("window tokens is 0", () => _ = new KvLayout(KvElement.BFloat16, 16, [LayerLayout.Sliding(8, 128, 0)])),
            ("state bytes is 0", () => _ = new KvLayout(KvElement.BFloat16, 16, [LayerLayout.State(0)])),
            ("kind 99", () => _ = new KvLayout(KvElement.BFloat16, 16, [Layer with { Kind = (LayerKind)99 }])),
            ("do not divide among 3", () => _ = known.BlockBytes(BlockRegion.Rank(known, 0, 3))),
            ("lie outside", () => _ = new BlockGeometry(known, BlockOrder.LayerPartHeadToken, new BlockRegion(30, 3, HeadSelection.All, 0, 1))),
            ("lie outside", () => _ = new BlockGeometry(known, BlockOrder.LayerPartHeadToken, new BlockRegion(0, 1, HeadSelection.All, 200, 57))),
        ];
        Assert.All(cases, item => Assert.Contains(item.Text, Assert.Throws<ArgumentException>(item.Make).Message, StringComparison.Ordinal));
    }

    private static KvLayout Stretched(Func<RopeSpec, RopeSpec> change) =>
        new(KvElement.BFloat16, 16, [Layer], change(new RopeSpec { Theta = 1e4, RotaryChannels = 128 }));
}
