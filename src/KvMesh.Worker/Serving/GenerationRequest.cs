using KvMesh.Worker.Model.Sampling;

namespace KvMesh.Worker.Serving;

/// <summary>What one caller wants generated: tokens behind a prompt.</summary>
public sealed record GenerationRequest
{
    /// <summary>Tokens of the prompt, at least one.</summary>
    public required IReadOnlyList<int> Prompt { get; init; }

    /// <summary>Most tokens to generate, at least one. Together with the prompt at most what the model has positions for.</summary>
    public required int MaxTokens { get; init; }

    /// <summary>How each token is chosen; its random number follows from seed and position, whoever computes it.</summary>
    public SamplingRule Sampling { get; init; } = SamplingRule.Greedy;

    /// <summary>Tokens behind which nothing follows. The last token told may be one of them.</summary>
    public IReadOnlySet<int> StopTokens { get; init; } = new HashSet<int>();

    /// <summary>Name of the sequence that the tokens belong to, under which it is parked and resumed; null: of none.</summary>
    public string? Sequence { get; init; }
}
