namespace KvMesh.Worker.Serving;

/// <summary>What a generator has done since it began, and what it is about.</summary>
public readonly record struct ServingFigures
{
    /// <summary>Requests that have blocks.</summary>
    public int Running { get; init; }

    /// <summary>Requests that wait for blocks.</summary>
    public int Waiting { get; init; }

    /// <summary>Requests that were let in.</summary>
    public long Requests { get; init; }

    /// <summary>Requests that were refused because as many waited as may.</summary>
    public long Refused { get; init; }

    /// <summary>Passes through the model.</summary>
    public long Passes { get; init; }

    /// <summary>Tokens whose keys and values were computed.</summary>
    public long ComputedTokens { get; init; }

    /// <summary>Tokens of prompts whose keys and values were there, or came from elsewhere.</summary>
    public long CachedTokens { get; init; }

    /// <summary>Tokens that callers were told.</summary>
    public long GeneratedTokens { get; init; }

    /// <summary>Prefixes that were on their way and did not come, so that they were computed here.</summary>
    public long LostPrefixes { get; init; }
}
