using System.Collections.Immutable;

namespace KvMesh.Cluster.Loading;

/// <summary>What becomes of one block, and when, counted from now.</summary>
/// <param name="Source">Place in <see cref="ReadInput.Sources"/> that it is fetched from; <see cref="Computed"/>: it is computed.</param>
/// <param name="Begin">When its first byte is due, or its first token is computed.</param>
/// <param name="End">When it is there.</param>
public readonly record struct PlannedBlock(int Source, TimeSpan Begin, TimeSpan End)
{
    public const int Computed = -1;

    public bool IsComputed => Source == Computed;
}

/// <summary>Consecutive blocks that are got in one way.</summary>
/// <param name="FirstBlock">The first of them.</param>
/// <param name="Blocks">How many.</param>
/// <param name="Source">As in <see cref="PlannedBlock"/>.</param>
/// <param name="Begin">When the first begins.</param>
/// <param name="End">When all are there.</param>
/// <param name="Reason">Why, with the time that the other way would have taken.</param>
public sealed record ReadPart(int FirstBlock, int Blocks, int Source, TimeSpan Begin, TimeSpan End, string Reason)
{
    public bool IsComputed => Source == PlannedBlock.Computed;
}

/// <summary>How a prefix comes to a worker: what is computed, in chain order, and what is fetched meanwhile.</summary>
public sealed record ReadPlan
{
    /// <summary>One entry for each block of the prefix.</summary>
    public required ImmutableArray<PlannedBlock> Blocks { get; init; }

    /// <summary>The same in runs, in the order in which they begin.</summary>
    public required ImmutableArray<ReadPart> Parts { get; init; }

    /// <summary>Fetched blocks in the order in which each source is to be asked: those that computing waits for, then the tail from its end.</summary>
    public required ImmutableArray<int> FetchOrder { get; init; }

    /// <summary>When the whole prefix is there.</summary>
    public required TimeSpan Time { get; init; }

    /// <summary>When it would be there if all of it were computed.</summary>
    public required TimeSpan ComputeAllTime { get; init; }

    /// <summary>When it would be there if all of it were fetched.</summary>
    public required TimeSpan FetchAllTime { get; init; }

    /// <summary>Blocks that are computed.</summary>
    public required int ComputedBlocks { get; init; }

    /// <summary>Bytes that are fetched.</summary>
    public required long FetchedBytes { get; init; }

    /// <summary>Where fetching takes over from computing for good: all blocks from here on are fetched.</summary>
    public required int SplitBlock { get; init; }
}
