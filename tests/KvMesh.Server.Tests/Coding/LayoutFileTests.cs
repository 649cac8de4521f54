using KvMesh.Codecs.Layouts;
using KvMesh.Server.Coding;
using KvMesh.Server.Options;
using KvMesh.TestKit;

namespace KvMesh.Server.Tests.Coding;

public sealed class LayoutFileTests
{
    [Fact]
    public void A_layout_may_be_like_a_known_one_or_described()
    {
        using var files = new CoderCase("""
            { "layouts": [
              { "name": "short", "like": "llama-3-8b", "element": "fp16", "blockTokens": 16, "order": "layer-kv-head-token" },
              { "name": "latent", "layers": 3, "latentChannels": 512, "latentRopeChannels": 64, "element": "bf16" }
            ] }
            """);
        var book = LayoutBook.Load(files.Options);

        var like = book.FindByModel("short")!;
        Assert.Equal((KvElement.Float16, 16, BlockOrder.LayerPartHeadToken), (like.Layout.Element, like.Layout.BlockTokens, like.Order));
        Assert.Equal(KnownModels.Find("llama-3-8b")!.Layers.Length, like.Layout.Layers.Length);
        Assert.Equal(3 * 576 * 2, book.FindByModel("latent")!.Layout.BlockBytes(1));
        Assert.Same(like, book.FindByHash(like.Layout.Hash));
    }

    [Fact]
    public void A_layout_says_how_its_model_stretches_positions()
    {
        using var files = new CoderCase("""
            { "layouts": [
              { "name": "linear", "layers": 1, "kvHeads": 2, "headChannels": 64, "ropeTheta": 10000, "ropeScaling": { "type": "linear", "factor": 2 } },
              { "name": "ntk", "layers": 1, "kvHeads": 2, "headChannels": 64, "ropeTheta": 10000, "ropeChannels": 32, "ropeScaling": { "type": "ntk", "factor": 4 } },
              { "name": "llama", "layers": 1, "kvHeads": 2, "headChannels": 64, "ropeTheta": 500000,
                "ropeScaling": { "type": "llama3", "factor": 8, "originalTokens": 8192, "highFrequencyFactor": 5 } },
              { "name": "yarn", "like": "qwen2.5-7b", "ropeScaling": { "type": "yarn", "factor": 4, "originalTokens": 32768, "attentionFactor": 1.2 } },
              { "name": "long", "layers": 1, "kvHeads": 1, "headChannels": 8, "ropeTheta": 10000,
                "ropeScaling": { "type": "longrope", "factor": 32, "originalTokens": 4096, "pairFactors": [1, 1.5, 2, 40] } }
            ] }
            """);
        var book = LayoutBook.Load(files.Options);

        var linear = RopeOf(book, "linear");
        Assert.Equal((RopeScaling.Linear, 2.0, 64), (linear.Scaling, linear.Factor, linear.RotaryChannels));
        var ntk = RopeOf(book, "ntk");
        Assert.Equal((RopeScaling.Ntk, 4.0, 32), (ntk.Scaling, ntk.Factor, ntk.RotaryChannels));
        var llama = RopeOf(book, "llama");
        Assert.Equal((RopeScaling.Llama3, 8.0, 1.0, 5.0, 8192), (llama.Scaling, llama.Factor, llama.LowFrequencyFactor, llama.HighFrequencyFactor, llama.OriginalTokens));
        var yarn = RopeOf(book, "yarn");
        Assert.Equal((RopeScaling.Yarn, 4.0, 1.0, 32.0, 32768, 1.2), (yarn.Scaling, yarn.Factor, yarn.LowFrequencyFactor, yarn.HighFrequencyFactor, yarn.OriginalTokens, yarn.KeyScale));
        Assert.Equal(KnownModels.Find("qwen2.5-7b")!.Rope!.Theta, yarn.Theta);
        Assert.Equal(KnownModels.Find("qwen2.5-7b")!.Layers.Length, book.FindByModel("yarn")!.Layout.Layers.Length);
        Assert.False(KnownModels.Find("qwen2.5-7b")!.Hash.SequenceEqual(book.FindByModel("yarn")!.Layout.Hash));
        var stretched = RopeOf(book, "long");
        Assert.Equal((RopeScaling.LongRope, 32.0, 4096), (stretched.Scaling, stretched.Factor, stretched.OriginalTokens));
        Assert.Equal([1, 1.5, 2, 40], stretched.PairFactors.ToArray());
        Assert.InRange(stretched.KeyScale, 1.18, 1.20);
    }

    [Theory]
    [InlineData("3", "ropeScaling must be an object")]
    [InlineData("{ }", "ropeScaling.type is missing")]
    [InlineData("""{ "type": "su" }""", "ropeScaling.type is \"su\"; it must be one of linear, llama3, yarn, ntk, longrope.")]
    [InlineData("""{ "type": "yarn", "factor": 4 }""", "ropeScaling.originalTokens is missing")]
    [InlineData("""{ "type": "ntk" }""", "ropeScaling.factor is missing")]
    [InlineData("""{ "type": "ntk", "factor": -4 }""", "ropeScaling.factor is -4; it must be above 0")]
    [InlineData("""{ "type": "ntk", "factor": "4" }""", "ropeScaling.factor is 4; it must be a number")]
    [InlineData("""{ "type": "ntk", "factor": 0.5 }""", "cannot be stretched by 0.5")]
    [InlineData("""{ "type": "linear", "factor": 4, "originalTokens": 8192 }""", "ropeScaling.originalTokens is unknown to \"linear\"; there are type, factor.")]
    [InlineData("""{ "type": "yarn", "factor": 4, "originalTokens": 0 }""", "0 original tokens")]
    [InlineData("""{ "type": "yarn", "factor": 4, "originalTokens": 8, "attentionFactor": 0 }""", "ropeScaling.attentionFactor is 0; it must be above 0")]
    [InlineData("""{ "type": "longrope", "factor": 4, "originalTokens": 8 }""", "ropeScaling.pairFactors is missing")]
    [InlineData("""{ "type": "longrope", "factor": 4, "originalTokens": 8, "pairFactors": [1, "2"] }""", "ropeScaling.pairFactors must be a list")]
    [InlineData("""{ "type": "longrope", "factor": 4, "originalTokens": 8, "pairFactors": [1, 2] }""", "rope has 2 factors of pairs; there must be 4")]
    [InlineData("""{ "type": "longrope", "factor": 4, "originalTokens": 8, "pairFactors": [1, 2, 0, 1] }""", "all above 0")]
    public void A_stretching_that_cannot_be_followed_is_named(string scaling, string message)
    {
        using var files = new CoderCase(
            $$"""{ "layouts": [ { "name": "a", "layers": 1, "kvHeads": 1, "headChannels": 8, "ropeTheta": 10000, "ropeScaling": {{scaling}} } ] }""");

        var exception = Assert.Throws<LayoutFileException>(() => LayoutBook.Load(files.Options));

        Assert.Contains(message, exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{ "name": "a", "layers": 1, "kvHeads": 1, "headChannels": 8, "ropeScaling": { "type": "ntk", "factor": 2 } }""", "ropeScaling says how keys are turned, and ropeTheta is missing")]
    [InlineData("""{ "name": "a", "layers": 1, "latentChannels": 512, "latentRopeChannels": 64, "ropeTheta": 10000, "ropeChannels": 64 }""", "ropeChannels says how keys are turned, and these are latent")]
    [InlineData("""{ "name": "a", "layers": 1, "kvHeads": 1, "headChannels": 8, "ropeTheta": 10000, "ropeChannels": 9 }""", "rope turns 9 channels; it must be an even number from 2 to 8")]
    public void A_rotation_that_no_key_has_is_named(string entry, string message)
    {
        using var files = new CoderCase($$"""{ "layouts": [ {{entry}} ] }""");

        var exception = Assert.Throws<LayoutFileException>(() => LayoutBook.Load(files.Options));

        Assert.Contains(message, exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("[]", "layouts")]
    [InlineData("{", "not JSON")]
    [InlineData("""{ "layouts": [ 3 ] }""", "layouts[0] must be an object")]
    [InlineData("""{ "layouts": [ { "layers": 2 } ] }""", "layouts[0].name is missing")]
    [InlineData("""{ "layouts": [ { "name": "a" } ] }""", "layouts[0] has neither")]
    [InlineData("""{ "layouts": [ { "name": "a", "like": "gpt-9" } ] }""", "layouts[0].like is \"gpt-9\"; it must be one of")]
    [InlineData("""{ "layouts": [ { "name": "a", "layers": 0, "kvHeads": 1, "headChannels": 1 } ] }""", "layouts[0].layers is 0; it must be from 1 to 1024")]
    [InlineData("""{ "layouts": [ { "name": "a", "layers": 1, "headChannels": 1 } ] }""", "layouts[0].kvHeads is missing")]
    [InlineData("""{ "layouts": [ { "name": "a", "layers": 1, "kvHeads": 100000, "headChannels": 1 } ] }""", "key heads is 100000; it must be from 1 to 65535")]
    [InlineData("""{ "layouts": [ { "name": "a", "layers": 1, "kvHeads": "8", "headChannels": 1 } ] }""", "layouts[0].kvHeads is 8; it must be a whole number")]
    [InlineData("""{ "layouts": [ { "name": "a", "like": "llama-3-8b", "element": "int8" } ] }""", "layouts[0].element is \"int8\"; it must be one of bf16")]
    [InlineData("""{ "layouts": [ { "name": "a", "like": "llama-3-8b", "blockTokens": 100000 } ] }""", "block tokens is 100000")]
    [InlineData("""{ "layouts": [ { "name": "a", "like": "llama-3-8b", "ranks": 0 } ] }""", "layouts[0].ranks is 0; it must be from 1 to 256")]
    [InlineData("""{ "layouts": [ { "name": "a", "like": "llama-3-8b", "models": "x" } ] }""", "layouts[0].models must be a list")]
    [InlineData("""{ "layouts": [ { "name": "a", "like": "llama-3-8b", "heads": 1 } ] }""", "layouts[0].heads is unknown")]
    [InlineData("""{ "layouts": [ { "name": "a", "like": "llama-3-8b" }, { "name": "a", "like": "llama-3-8b" } ] }""", "\"a\" is there 2 times")]
    public void What_cannot_be_followed_is_named(string text, string message)
    {
        using var files = new CoderCase(text);

        var exception = Assert.Throws<LayoutFileException>(() => LayoutBook.Load(files.Options));

        Assert.Contains(message, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_an_option_names_must_be_there()
    {
        using var files = new CoderCase();
        var options = files.Options;
        options.Codecs.LayoutFile = Path.Combine(options.DataDirectory, "nowhere.json");

        var exception = Assert.Throws<NodeOptionsException>(() => NodeOptionsReader.Check(options));

        Assert.Contains("Codecs:LayoutFile", Assert.Single(exception.Errors), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("zip", "", "", "Codecs:Disk is \"zip\"; \"zip\" is none of raw, ")]
    [InlineData("kivi4-g64, zip", "", "", "Codecs:Disk is \"kivi4-g64, zip\"; \"zip\" is none of raw, ")]
    [InlineData("lossless, kivi4-g64", "", "", "Codecs:Disk is \"lossless, kivi4-g64\"; nothing is tried behind lossless, which loses nothing.")]
    [InlineData(",", "", "", "Codecs:Disk names 0 codecs; it must name 1 to 8.")]
    [InlineData("raw", "nobody", "", "Codecs:Rules:0:Layout is \"nobody\"; it must be empty or one of")]
    [InlineData("raw", "", "nobody", "Codecs:Rules:0:Tenant is \"nobody\"; it must be empty or one of known.")]
    public void A_policy_that_cannot_be_followed_is_named(string disk, string layout, string tenant, string message)
    {
        using var files = new CoderCase();
        var options = files.Options;
        options.Codecs.Disk = disk;
        options.Engine.Tenants.Add(new Engine.TenantOptions { Name = "known" });
        options.Access.TokenFile = TestNode.WriteTokens(options.DataDirectory, [new TestToken("known", "token", "read", "write")]);
        if (layout.Length + tenant.Length > 0)
        {
            options.Codecs.Rules.Add(new CodecRuleOptions { Layout = layout, Tenant = tenant });
        }

        var exception = Assert.Throws<NodeOptionsException>(() => NodeOptionsReader.Check(options));

        Assert.StartsWith(message, Assert.Single(exception.Errors), StringComparison.Ordinal);
    }

    [Fact]
    public void A_ceiling_is_a_part_of_one()
    {
        using var files = new CoderCase();
        var options = files.Options;
        options.Codecs.DiskCeiling.Outputs = 1.5;
        options.Codecs.Rules.Add(new CodecRuleOptions { Redis = "kivi4-g64", RedisCeiling = { Keys = -0.1 } });

        var exception = Assert.Throws<NodeOptionsException>(() => NodeOptionsReader.Check(options));

        Assert.Equal(
            ["Codecs:DiskCeiling:Outputs is 1.5; it must be from 0 to 1.", "Codecs:Rules:0:RedisCeiling:Keys is -0.1; it must be from 0 to 1."],
            exception.Errors);
    }

    [Theory]
    [InlineData("raw")]
    [InlineData("kivi4-g64")]
    [InlineData("kivi2-g32, kivi4-g64, int8, lossless")]
    [InlineData("kivi4-g64, raw")]
    public void Codecs_are_named_from_the_wanted_one_to_safer_ones(string codecs)
    {
        using var files = new CoderCase();
        var options = files.Options;
        options.Codecs.Disk = options.Codecs.Redis = codecs;

        NodeOptionsReader.Check(options);
    }

    private static RopeSpec RopeOf(LayoutBook book, string model) => book.FindByModel(model)!.Layout.Rope!;
}
