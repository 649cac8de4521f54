namespace KvMesh.Worker.Model.Sampling;

/// <summary>How the next token is chosen.</summary>
public sealed record SamplingRule
{
    /// <summary>The likeliest token, the first of them where several are.</summary>
    public static SamplingRule Greedy { get; } = new();

    /// <summary>What logits are divided by; 0 for the likeliest token.</summary>
    public float Temperature { get; init; }

    /// <summary>Only so many of the likeliest tokens; 0 for all.</summary>
    public int TopK { get; init; }

    /// <summary>Only the likeliest tokens that together reach this probability; 1 for all.</summary>
    public float TopP { get; init; } = 1;

    /// <summary>Chooses the numbers: the same seed, position and logits give the same token.</summary>
    public ulong Seed { get; init; }

    /// <exception cref="ArgumentException">A number is out of its range.</exception>
    public void Validate()
    {
        if (!(Temperature >= 0 && float.IsFinite(Temperature)))
        {
            throw new ArgumentException($"temperature {Temperature} must be 0 or above.");
        }

        if (TopK < 0)
        {
            throw new ArgumentException($"top_k {TopK} must be 0 or above.");
        }

        if (!(TopP > 0 && TopP <= 1))
        {
            throw new ArgumentException($"top_p {TopP} must be above 0 and at most 1.");
        }
    }
}
