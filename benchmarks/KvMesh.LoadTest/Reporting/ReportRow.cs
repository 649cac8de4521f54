using System.Text.Json.Serialization;
using KvMesh.LoadTest.Measuring;

namespace KvMesh.LoadTest.Reporting;

/// <summary>One line of a report: one contender at one task.</summary>
internal sealed record ReportRow
{
    /// <summary>What was done, as "GET 4 MiB, 2 connections".</summary>
    public required string What { get; init; }

    public required string Who { get; init; }

    /// <summary>Median, least and most of the repeats, in <see cref="Unit"/>.</summary>
    public required Spread Figure { get; init; }

    public required string Unit { get; init; }

    /// <summary>Against the baseline, run by run; null for the baseline itself.</summary>
    public Spread? Ratio { get; init; }

    /// <summary>Processor time of both processes per 10^9 payload bytes; null when no bytes moved.</summary>
    public double? CoreSecondsPerGigabyte { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? P50Microseconds { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? P99Microseconds { get; init; }

    /// <summary>The ratio, or the figure when <see cref="TargetIsFigure"/>, that this row is to reach; null when there is none.</summary>
    public double? Target { get; init; }

    public bool TargetIsFigure { get; init; }

    /// <summary>Whether a smaller value meets the target, as for times.</summary>
    public bool LessIsBetter { get; init; }

    /// <summary>Whether the target is met; null without one.</summary>
    public bool? Met
    {
        get
        {
            var value = TargetIsFigure ? Figure.Median : Ratio?.Median;
            return (Target, value) switch
            {
                (null, _) or (_, null) => null,
                _ => LessIsBetter ? value <= Target : value >= Target,
            };
        }
    }
}
