using System.Text;
using System.Text.Json.Nodes;
using KvMesh.Codecs.Layouts;
using KvMesh.TestKit;
using KvMesh.Worker.Model.Compute;
using KvMesh.Worker.Model.Files;
using KvMesh.Worker.Model.Numerics;

namespace KvMesh.Worker.Tests.Model;

public sealed class ModelConfigTests : IDisposable
{
    private const string Llama32 =
        """
        {"architectures":["LlamaForCausalLM"],"attention_bias":false,"bos_token_id":128000,"eos_token_id":[128001,128008,128009],"head_dim":64,
         "hidden_act":"silu","hidden_size":2048,"intermediate_size":8192,"max_position_embeddings":131072,"mlp_bias":false,"model_type":"llama",
         "num_attention_heads":32,"num_hidden_layers":16,"num_key_value_heads":8,"pretraining_tp":1,"rms_norm_eps":1e-05,
         "rope_scaling":{"factor":32.0,"high_freq_factor":4.0,"low_freq_factor":1.0,"original_max_position_embeddings":8192,"rope_type":"llama3"},
         "rope_theta":500000.0,"tie_word_embeddings":true,"torch_dtype":"bfloat16","use_cache":true,"vocab_size":128256}
        """;

    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void Reads_the_config_of_a_published_model()
    {
        var config = Read(Llama32);

        Assert.Equal((128256, 2048, 8192, 16), (config.Vocabulary, config.Hidden, config.Intermediate, config.Layers));
        Assert.Equal((32, 8, 64, 4), (config.Heads, config.KvHeads, config.HeadChannels, config.GroupSize));
        Assert.True(config.IsTied);
        Assert.Equal(131072, config.MaxTokens);
        Assert.Equal(1e-5f, config.NormEpsilon);
        Assert.Equal(128000, config.BeginToken);
        Assert.Equal([128001, 128008, 128009], config.EndTokens.ToArray());
        Assert.Equal((RopeScaling.Llama3, 500000.0, 32.0, 8192), (config.Rope.Scaling, config.Rope.Theta, config.Rope.Factor, config.Rope.OriginalTokens));
    }

    [Fact]
    public void What_may_be_absent_has_the_defaults_of_the_format()
    {
        var config = Read("""{"model_type":"llama","vocab_size":100,"hidden_size":64,"intermediate_size":96,"num_hidden_layers":1,"num_attention_heads":4}""");

        Assert.Equal((4, 16, 2048, 1e-6f), (config.KvHeads, config.HeadChannels, config.MaxTokens, config.NormEpsilon));
        Assert.Equal((RopeScaling.None, 10000.0), (config.Rope.Scaling, config.Rope.Theta));
        Assert.False(config.IsTied || config.HasAttentionBias || config.HasFeedForwardBias);
        Assert.Null(config.BeginToken);
        Assert.Empty(config.EndTokens);
    }

    [Fact]
    public void Reads_the_rope_of_newer_files()
    {
        var config = Read(With("rope_parameters", """{"rope_type":"yarn","rope_theta":70000.0,"factor":4.0,"original_max_position_embeddings":1000}"""));

        Assert.Equal((RopeScaling.Yarn, 70000.0, 4000), (config.Rope.Scaling, config.Rope.Theta, config.MaxTokens));
        Assert.Equal((0.1 * Math.Log(4)) + 1, config.Rope.KeyScale, 1e-12);
    }

    [Theory]
    [InlineData("model_type", "\"gpt2\"", "'model_type' is 'gpt2'")]
    [InlineData("model_type", null, "'model_type' is missing")]
    [InlineData("hidden_act", "\"gelu\"", "'hidden_act' is 'gelu'; only silu")]
    [InlineData("hidden_size", "0", "'hidden_size' is 0; it must be a whole number from 16 to 131072")]
    [InlineData("hidden_size", "2040", "'hidden_size' is 2040; it must be a multiple of 16")]
    [InlineData("hidden_size", "\"big\"", "'hidden_size' is \"big\"")]
    [InlineData("hidden_size", null, "'hidden_size' is missing")]
    [InlineData("intermediate_size", "1e9", "'intermediate_size' is 1e9")]
    [InlineData("num_hidden_layers", "1025", "'num_hidden_layers' is 1025; it must be a whole number from 1 to 1024")]
    [InlineData("num_key_value_heads", "5", "'num_attention_heads' is 32; it must be a multiple of 'num_key_value_heads', 5")]
    [InlineData("num_key_value_heads", "33", "'num_key_value_heads' is 33; it must be a whole number from 1 to 32")]
    [InlineData("head_dim", "63", "'head_dim' is 63; it must be an even number")]
    [InlineData("vocab_size", "-1", "'vocab_size' is -1")]
    [InlineData("rms_norm_eps", "0", "'rms_norm_eps' is 0")]
    [InlineData("tie_word_embeddings", "1", "'tie_word_embeddings' is 1; it must be true or false")]
    [InlineData("sliding_window", "4096", "'sliding_window' is 4096")]
    [InlineData("quantization_config", "{\"bits\":4}", "'quantization_config' is {\"bits\":4}")]
    [InlineData("partial_rotary_factor", "0.5", "'partial_rotary_factor' is 0.5")]
    [InlineData("eos_token_id", "[128256]", "'eos_token_id' holds 128256; it must hold tokens from 0 to 128255")]
    [InlineData("bos_token_id", "128256", "'bos_token_id' is 128256")]
    [InlineData("rope_theta", "1", "'rope_theta' is 1")]
    [InlineData("rope_scaling", "3", "the scaling of rope is 3")]
    [InlineData("rope_scaling", "{\"rope_type\":\"longrope\"}", "rope type 'longrope' is unknown")]
    [InlineData("rope_scaling", "{\"type\":\"linear\"}", "'factor' is missing")]
    [InlineData("rope_scaling", "{\"type\":\"linear\",\"factor\":0.5}", "'factor' is 0.5; it must be a number from 1 to")]
    [InlineData("rope_scaling", "{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":4,\"high_freq_factor\":1,\"original_max_position_embeddings\":8192}", "'high_freq_factor' is 1")]
    [InlineData("rope_scaling", "{\"rope_type\":\"yarn\",\"factor\":8,\"truncate\":false}", "'truncate' is false")]
    [InlineData("rope_scaling", "{\"rope_type\":\"yarn\",\"factor\":8,\"beta_fast\":1}", "'beta_fast' is 1")]
    [InlineData("max_position_embeddings", "0", "'max_position_embeddings' is 0")]
    public void Refuses_what_it_does_not_compute_or_understand(string field, string? value, string problem) => Refuses(With(field, value), problem);

    [Theory]
    [InlineData("", "is no JSON")]
    [InlineData("{", "is no JSON")]
    [InlineData("[1]", "must be a JSON object")]
    [InlineData("{\"vocab_size\":1,\"vocab_size\":2}", "is no JSON")]
    public void Refuses_a_file_that_is_no_config(string text, string problem) => Refuses(text, problem);

    [Fact]
    public void A_damaged_config_is_read_or_refused_and_nothing_else() => Fuzz.Run(800, random =>
    {
        try
        {
            File.WriteAllBytes(FilePath, Fuzz.Damage(random, Encoding.UTF8.GetBytes(Llama32)));
            ModelConfig.Read(FilePath);
        }
        catch (ModelFileException)
        {
            // What a damaged file is for.
        }
    });

    [Theory]
    [InlineData("model.norm.weight", "[64]", "tensor 'model.norm.weight' is missing; it should be [64]")]
    [InlineData("model.layers.1.self_attn.k_proj.weight", "[64, 64]", "tensor 'model.layers.1.self_attn.k_proj.weight' is missing; it should be [64, 64]")]
    [InlineData("lm_head.weight", "[263, 64]", "tensor 'lm_head.weight' is missing; it should be [263, 64]")]
    public void Refuses_a_model_without_one_of_its_tensors(string name, string shape, string problem)
    {
        using var model = new TestModel(Shapes.Plain);
        var path = Path.Combine(model.Path, "model.safetensors");
        var text = Encoding.Latin1.GetString(File.ReadAllBytes(path));
        File.WriteAllBytes(path, Encoding.Latin1.GetBytes(text.Replace($"\"{name}\"", $"\"{name[..^1]}x\"", StringComparison.Ordinal)));

        Assert.Contains(problem, Load(model).Message, StringComparison.Ordinal);
        Assert.NotEmpty(shape);
    }

    [Fact]
    public void Refuses_a_model_whose_tensors_have_other_shapes_than_its_config()
    {
        using var model = new TestModel(Shapes.Plain);
        var path = Path.Combine(model.Path, "config.json");
        File.WriteAllText(path, File.ReadAllText(path).Replace("\"num_key_value_heads\":4", "\"num_key_value_heads\":2", StringComparison.Ordinal));

        Assert.Contains("tensor 'model.layers.0.self_attn.k_proj.weight' has the shape [64, 64]; config.json asks for [32, 64]", Load(model).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Refuses_weights_that_are_no_numbers_to_compute_with()
    {
        using var model = new TestModel(Shapes.Plain);
        var path = Path.Combine(model.Path, "model.safetensors");
        var text = Encoding.Latin1.GetString(File.ReadAllBytes(path));
        File.WriteAllBytes(path, Encoding.Latin1.GetBytes(text.Replace("\"dtype\":\"F32\"", "\"dtype\":\"U32\"", StringComparison.Ordinal)));

        Assert.Contains("holds U32; a model computes with F32, BF16 or F16", Load(model).Message, StringComparison.Ordinal);
    }

    private static ModelFileException Load(TestModel model)
    {
        using var team = new ComputeTeam(1);
        return Assert.Throws<ModelFileException>(() => LlamaModel.Load(model.Path, team));
    }

    private static string With(string field, string? value)
    {
        var config = JsonNode.Parse(Llama32)!.AsObject();
        config.Remove(field);
        if (value is not null)
        {
            config.Add(field, JsonNode.Parse(value));
        }

        return config.ToJsonString();
    }

    private string FilePath => Path.Combine(_directory.Path, "config.json");

    private void Refuses(string text, string problem) =>
        Assert.Contains(problem, Assert.Throws<ModelFileException>(() => Read(text)).Message.Replace("\\u0022", "\"", StringComparison.Ordinal), StringComparison.Ordinal);

    private ModelConfig Read(string text)
    {
        File.WriteAllText(FilePath, text);
        return ModelConfig.Read(FilePath);
    }
}
