using KvMesh.Worker.Model.Sampling;

namespace KvMesh.Worker.Front;

/// <summary>A request for completions, every field within its limits.</summary>
internal sealed record CompletionCall
{
    /// <summary>At least one; each has a choice of the answer, in this order.</summary>
    public required IReadOnlyList<CompletionPrompt> Prompts { get; init; }

    public required SamplingRule Sampling { get; init; }

    /// <summary>Texts that end an answer and are no part of it.</summary>
    public required IReadOnlyList<string> Stops { get; init; }

    public bool IsStreamed { get; init; }

    /// <summary>Whether a stream ends with a chunk that holds the usage.</summary>
    public bool StreamsUsage { get; init; }

    /// <summary>Whether the prompt stands before its answer.</summary>
    public bool Echoes { get; init; }

    /// <summary>Whether tokens that end a text are text like others.</summary>
    public bool IgnoresEnd { get; init; }

    /// <summary>Name of the sequence that the tokens belong to, or null.</summary>
    public string? Sequence { get; init; }
}

/// <param name="Tokens">At least one.</param>
/// <param name="Text">The same as text.</param>
/// <param name="MaxTokens">Most tokens of the answer; fits behind the prompt.</param>
internal sealed record CompletionPrompt(IReadOnlyList<int> Tokens, string Text, int MaxTokens);
