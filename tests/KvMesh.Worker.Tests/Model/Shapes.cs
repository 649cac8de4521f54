namespace KvMesh.Worker.Tests.Model;

/// <summary>Models that differ in one thing each.</summary>
internal static class Shapes
{
    public static TestShape Plain { get; } = new("MHA, untied");

    public static TestShape Grouped { get; } = new("GQA, untied") { Hidden = 96, Heads = 6, KvHeads = 2, HeadChannels = 24, Intermediate = 208 };

    public static IReadOnlyList<TestShape> All { get; } =
    [
        Plain,
        Grouped,
        new("MQA, tied") { KvHeads = 1, IsTied = true, Layers = 3 },
        new("one layer, wide heads") { Layers = 1, Heads = 2, KvHeads = 2, HeadChannels = 80 },
        new("biases") { HasBias = true, KvHeads = 2 },
        new("bfloat16 weights") { Element = "BF16", KvHeads = 2, HeadChannels = 32 },
        new("bfloat16 weights, tied") { Element = "BF16", IsTied = true },
        new("half weights") { Element = "F16" },
        new("linear rope") { Rope = """{"type":"linear","factor":4.0}""" },
        new("dynamic rope") { Rope = """{"rope_type":"dynamic","factor":3.0}""", MaxTokens = 64 },
        new("llama3 rope")
        {
            Rope = """{"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":64}""", Theta = 500_000, HeadChannels = 32,
        },
        new("yarn rope") { Rope = """{"rope_type":"yarn","factor":4.0,"original_max_position_embeddings":64}""", HeadChannels = 32 },
        new("yarn rope, own attention factor") { Rope = """{"rope_type":"yarn","factor":2.0,"original_max_position_embeddings":128,"attention_factor":1.3,"beta_fast":16,"beta_slow":2}""", KvHeads = 2 },
    ];
}
