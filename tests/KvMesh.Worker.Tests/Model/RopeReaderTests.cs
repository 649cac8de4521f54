using KvMesh.Codecs.Layouts;
using KvMesh.TestKit;
using KvMesh.Worker.Model.Cache;
using KvMesh.Worker.Model.Files;

namespace KvMesh.Worker.Tests.Model;

/// <summary>Ropes as config.json writes them, against frequencies that were computed by hand. Eight channels, theta 10,000, 100 positions.</summary>
public sealed class RopeReaderTests
{
    [Fact]
    public void Frequencies_fall_from_one_by_the_base() => Near([1, 0.1, 0.01, 0.001], 100, "null");

    [Fact]
    public void Linear_divides_all_of_them() => Near([0.25, 0.025, 0.0025, 0.00025], 400, """{"type":"linear","factor":4.0}""");

    [Fact]
    public void Dynamic_takes_the_base_of_the_longest_context()
    {
        // 2 × 200 / 100 - 1 = 3, to the power of 8 / 6.
        var theta = 10_000 * Math.Pow(3, 8.0 / 6);

        Near([1, Math.Pow(theta, -0.25), Math.Pow(theta, -0.5), Math.Pow(theta, -0.75)], 200, """{"rope_type":"dynamic","factor":2.0}""");
    }

    [Fact]
    public void Llama3_keeps_the_fast_and_divides_the_slow()
    {
        // Turns within 400 tokens: 63.7, 6.37, 0.637, 0.0637; kept from 8 on, divided by 10 up to 2, between them a ramp.
        var ramp = ((400 * 0.1 / (2 * Math.PI)) - 2) / 6;

        Near(
            [1, 0.1 * (ramp + ((1 - ramp) / 10)), 0.001, 0.0001], 100,
            """{"rope_type":"llama3","factor":10.0,"low_freq_factor":2.0,"high_freq_factor":8.0,"original_max_position_embeddings":400}""");
    }

    [Fact]
    public void Yarn_ramps_between_two_numbers_of_turns()
    {
        // The pair that turns n times in 400 tokens is 8 ln(400 / 2πn) / (2 ln 10000): 32 turns are pair 0.30, down to 0; 1 turn is pair 1.80, up to 2.
        var rope = Near([1, 0.1 * (0.5 + 0.05), 0.001, 0.0001], 4000, """{"rope_type":"yarn","factor":10.0,"original_max_position_embeddings":400}""");

        Assert.Equal((0.1 * Math.Log(10)) + 1, rope.KeyScale, 1e-12);
    }

    [Theory]
    [InlineData("\"attention_factor\":1.25", 1.25)]
    [InlineData("\"mscale\":1.0,\"mscale_all_dim\":1.0", 1)]
    [InlineData("\"mscale\":2.0,\"mscale_all_dim\":1.0", 1.1871627)]
    public void Yarn_lengthens_keys_as_the_file_says(string fields, double expected) =>
        Assert.Equal(expected, Config("{\"rope_type\":\"yarn\",\"factor\":10.0," + fields + "}").Rope.KeyScale, 1e-6);

    [Fact]
    public void Layouts_have_the_rope_of_the_model()
    {
        foreach (var scaling in (string[])["null", """{"type":"linear","factor":4.0}""", """{"rope_type":"dynamic","factor":2.0}""", """{"rope_type":"yarn","factor":10.0}"""])
        {
            var config = Config(scaling);

            Assert.Equal(config.Rope, KvPageFormat.Of(config, KvElement.BFloat16, 16).Layout.Rope);
        }
    }

    private static RopeSpec Near(double[] expected, int maxTokens, string scaling)
    {
        var config = Config(scaling);
        Assert.Equal(expected, config.Rope.Frequencies(), (one, other) => Math.Abs(one - other) < 1e-9);
        Assert.Equal(maxTokens, config.MaxTokens);
        return config.Rope;
    }

    private static ModelConfig Config(string scaling)
    {
        using var directory = new TemporaryDirectory();
        var path = Path.Combine(directory.Path, "config.json");
        File.WriteAllText(path, TestModel.Config(new TestShape("rope") { HeadChannels = 8, MaxTokens = 100, Rope = scaling }).ToJsonString());
        return ModelConfig.Read(path);
    }
}
