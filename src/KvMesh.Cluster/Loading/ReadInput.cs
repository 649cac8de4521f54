using System.Collections.Immutable;
using System.Globalization;
using KvMesh.Protocol;

namespace KvMesh.Cluster.Loading;

/// <summary>All that a plan depends on.</summary>
public sealed record ReadInput
{
    /// <summary>Most sources of one plan: more holders than a read is spread over.</summary>
    public const int MaxSources = 64;

    /// <summary>Blocks of the prefix in chain order, 1 to <see cref="Limits.MaxBlocksPerRequest"/>.</summary>
    public required ImmutableArray<HeldBlock> Blocks { get; init; }

    /// <summary>Where they can be fetched, 1 to <see cref="MaxSources"/>.</summary>
    public required ImmutableArray<LoadSource> Sources { get; init; }

    /// <summary>How fast the worker computes.</summary>
    public required PrefillRate Prefill { get; init; }

    /// <summary>When the worker has done what it was given before.</summary>
    public TimeSpan WorkerFreeIn { get; init; }

    /// <summary>A block that arrives later than this is a miss. <see cref="Timeout.InfiniteTimeSpan"/>: no fetch is too late.</summary>
    public TimeSpan Deadline { get; init; } = Timeout.InfiniteTimeSpan;

    /// <summary>Whether a pass computes what is behind the prefix in any case: what is computed up to the prefix's end is computed with it.</summary>
    public bool GoesOn { get; init; }

    /// <summary>
    /// What a plan must save against fetching all, and then against computing all: below it everything is fetched, or computed, for rates are not known that well,
    /// and computing keeps the worker from what else it has to do.
    /// </summary>
    public TimeSpan LeastSaving { get; init; }

    internal double DeadlineSeconds => Deadline == Timeout.InfiniteTimeSpan ? double.PositiveInfinity : Deadline.TotalSeconds;

    /// <exception cref="ArgumentException">A value is out of its range; the message names field, value and limit.</exception>
    internal void Check()
    {
        Require(!Blocks.IsDefault && Blocks.Length is >= 1 and <= Limits.MaxBlocksPerRequest, "Blocks.Length", Blocks.IsDefault ? 0 : Blocks.Length, $"1 to {Limits.MaxBlocksPerRequest}");
        Require(!Sources.IsDefault && Sources.Length is >= 1 and <= MaxSources, "Sources.Length", Sources.IsDefault ? 0 : Sources.Length, $"1 to {MaxSources}");
        Require(IsPositive(Prefill.SecondsPerToken), "Prefill.SecondsPerToken", Prefill.SecondsPerToken, "more than 0 and finite");
        Require(double.IsFinite(Prefill.SecondsPerSquaredToken) && Prefill.SecondsPerSquaredToken >= 0, "Prefill.SecondsPerSquaredToken", Prefill.SecondsPerSquaredToken, "at least 0 and finite");
        Require(double.IsFinite(Prefill.SecondsPerPass) && Prefill.SecondsPerPass >= 0, "Prefill.SecondsPerPass", Prefill.SecondsPerPass, "at least 0 and finite");
        Require(WorkerFreeIn >= TimeSpan.Zero, nameof(WorkerFreeIn), WorkerFreeIn, "at least 0");
        Require(Deadline >= TimeSpan.Zero || Deadline == Timeout.InfiniteTimeSpan, nameof(Deadline), Deadline, "at least 0, or infinite");
        Require(LeastSaving >= TimeSpan.Zero, nameof(LeastSaving), LeastSaving, "at least 0");
        for (var index = 0; index < Sources.Length; index++)
        {
            CheckSource(index);
        }

        for (var index = 0; index < Blocks.Length; index++)
        {
            CheckBlock(index);
        }
    }

    private static bool IsPositive(double value) => double.IsFinite(value) && value > 0;

    private static void Require(bool holds, string field, object value, string allowed)
    {
        if (!holds)
        {
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture, $"{field} is {value}; it must be {allowed}."), field);
        }
    }

    private void CheckSource(int index)
    {
        var source = Sources[index];
        Require(source is not null, $"Sources[{index}]", "null", "given");
        Require(IsPositive(source!.BytesPerSecond), $"Sources[{index}].BytesPerSecond", source.BytesPerSecond, "more than 0 and finite");
        Require(source.Latency >= TimeSpan.Zero, $"Sources[{index}].Latency", source.Latency, "at least 0");
        Require(source.QueuedBytes >= 0, $"Sources[{index}].QueuedBytes", source.QueuedBytes, "at least 0");
    }

    private void CheckBlock(int index)
    {
        var block = Blocks[index];
        Require(block.Tokens >= 1, $"Blocks[{index}].Tokens", block.Tokens, "at least 1");
        Require(block.Bytes is >= 0 and <= Limits.MaxBlockBytes, $"Blocks[{index}].Bytes", block.Bytes, $"0 to {Limits.MaxBlockBytes}");
        Require(!block.Sources.IsDefaultOrEmpty, $"Blocks[{index}].Sources.Length", 0, "at least 1");
        foreach (var source in block.Sources)
        {
            Require(source >= 0 && source < Sources.Length, $"Blocks[{index}].Sources", source, $"0 to {Sources.Length - 1}");
        }
    }
}
