namespace KvMesh.Worker.Serving;

/// <summary>Bounds of a worker that serves.</summary>
public sealed record ServingOptions
{
    /// <summary>Most blocks in memory: those of running requests, and those that are kept for later ones.</summary>
    public int CapacityBlocks { get; init; } = 1024;

    /// <summary>Most tokens of a pass, 1 to <see cref="Model.Compute.ForwardPass.MaxTokens"/>: one for each request that decodes, the rest for prompts.</summary>
    public int MaxPassTokens { get; init; } = 512;

    /// <summary>Most requests that have blocks.</summary>
    public int MaxRunning { get; init; } = 32;

    /// <summary>Most requests that wait for blocks; one more is refused.</summary>
    public int MaxWaiting { get; init; } = 256;

    /// <summary>Tokens that a caller may be behind before its request waits for it.</summary>
    public int UnreadTokens { get; init; } = 64;

    /// <exception cref="ArgumentException">A value is out of its range.</exception>
    internal void Check()
    {
        Require(CapacityBlocks, nameof(CapacityBlocks), 1, int.MaxValue);
        Require(MaxPassTokens, nameof(MaxPassTokens), 1, Model.Compute.ForwardPass.MaxTokens);
        Require(MaxRunning, nameof(MaxRunning), 1, 4096);
        Require(MaxWaiting, nameof(MaxWaiting), 1, 1 << 20);
        Require(UnreadTokens, nameof(UnreadTokens), 1, 1 << 20);
    }

    private static void Require(int value, string name, int lowest, int highest)
    {
        if (value < lowest || value > highest)
        {
            throw new ArgumentException($"{name} is {value}; it must be {lowest} to {highest}.", name);
        }
    }
}
