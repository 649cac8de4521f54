namespace KvMesh.Simulation.Traces;

/// <summary>Shape of a synthetic workload of chats. Lengths are in blocks, bounds are inclusive.</summary>
public sealed record ConversationOptions
{
    /// <summary>Same seeds, same prompts.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>Seed of the system prompts alone, so that workloads of different seeds can share them.</summary>
    public int SystemSeed { get; init; } = 1;

    /// <summary>Prompts in all.</summary>
    public int Requests { get; init; } = 1000;

    /// <summary>System prompts that the sessions share; some are far more popular than others.</summary>
    public int SystemPrompts { get; init; } = 12;

    /// <summary>Exponent of the popularity of system prompts: 0 is even, 1 is Zipf's law.</summary>
    public double Skew { get; init; } = 1.1;

    public (int Min, int Max) SystemBlocks { get; init; } = (4, 20);

    /// <summary>Blocks that one turn adds: the question, the answer before it, and what tools returned.</summary>
    public (int Min, int Max) TurnBlocks { get; init; } = (1, 6);

    /// <summary>Sessions that are alive at a time.</summary>
    public int ActiveSessions { get; init; } = 40;

    /// <summary>Chance that a session ends after a turn.</summary>
    public double EndChance { get; init; } = 0.15;

    /// <summary>Chance that a new session branches off an earlier turn of a living one instead of starting afresh.</summary>
    public double ForkChance { get; init; } = 0.2;

    /// <summary>Mean time between prompts, in milliseconds.</summary>
    public double MeanGapMs { get; init; } = 20;
}
