using System.ComponentModel.DataAnnotations;

namespace KvMesh.Engine.FarTiers;

/// <summary>How much this node asks of tiers beyond it. Bound from <c>Engine:FarTiers</c>.</summary>
public sealed class FarTierOptions
{
    /// <summary>
    /// Bytes of KV per second that an engine recomputes: a block that takes longer to come is a miss. The default is a model with 64 KiB a
    /// token at 1,000 tokens a second, the slow end of what is served.
    /// </summary>
    [Range(1, long.MaxValue)]
    public long RecomputeBytesPerSecond { get; set; } = 64L << 20;

    /// <summary>
    /// Time that every read from a far tier gets, however small its block; also what is waited for an answer before the size is known. Long
    /// enough for a new connection between busy machines.
    /// </summary>
    public TimeSpan ShortestDeadline { get; set; } = TimeSpan.FromMilliseconds(250);

    /// <summary>Longest time that a client waits for far tiers, however large the block.</summary>
    public TimeSpan LongestDeadline { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Most blocks that clients wait for at a time; a further one waits for its turn within its own deadline.</summary>
    [Range(1, 4096)]
    public int MaxForegroundFetches { get; set; } = 64;

    /// <summary>Most readers that wait for one block which is on its way; further ones get a miss.</summary>
    [Range(0, 4096)]
    public int MaxWaitersPerBlock { get; set; } = 256;

    /// <summary>Threads that execute orders to bring blocks here.</summary>
    [Range(1, 64)]
    public int BackgroundFetches { get; set; } = 2;

    /// <summary>Most orders that wait; further ones are refused.</summary>
    [Range(1, 1 << 20)]
    public int MaxQueuedFetches { get; set; } = 1 << 14;

    /// <summary>Most bytes per second that orders may bring here; 0: no limit.</summary>
    [Range(0, long.MaxValue)]
    public long BackgroundBytesPerSecond { get; set; }

    /// <summary>Whether blocks that leave this node are offered to a tier that all nodes share.</summary>
    public bool OffersLeaving { get; set; } = true;

    /// <summary>Most workers that announce blocks in their own memory at a time: each holds a thread of the node while it waits to be asked.</summary>
    [Range(0, 1024)]
    public int MaxHolders { get; set; } = 64;

    /// <summary>Most blocks that one of them announces. A block costs about 200 bytes here: 64 GiB of blocks of 1 MiB cost 13 MiB.</summary>
    [Range(1, 1 << 22)]
    public int MaxBlocksPerHolder { get; set; } = 1 << 16;

    /// <summary>Most blocks that one of them is asked for at a time; a further reader has a miss there. Orders take half of them at most.</summary>
    [Range(1, 4096)]
    public int MaxAsksPerHolder { get; set; } = 64;

    /// <summary>The time that a block of that size may take to come.</summary>
    internal TimeSpan DeadlineFor(long payloadBytes)
    {
        var recompute = TimeSpan.FromSeconds((double)payloadBytes / RecomputeBytesPerSecond);
        var atLeast = recompute > ShortestDeadline ? recompute : ShortestDeadline;
        return atLeast < LongestDeadline ? atLeast : LongestDeadline;
    }
}
