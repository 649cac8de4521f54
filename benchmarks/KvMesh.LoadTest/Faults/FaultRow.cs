using System.Globalization;

namespace KvMesh.LoadTest.Faults;

/// <summary>Hit ratios of some clients around a fault; NaN where they made no get, or are none.</summary>
internal readonly record struct RatioRow(double Before, double During, double After)
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Text(Before)} / {Text(During)} / {Text(After)}");

    private static string Text(double ratio) => double.IsNaN(ratio) ? "–" : ratio.ToString("0.00", CultureInfo.InvariantCulture);
}

/// <summary>What one fault did.</summary>
/// <param name="Hurt">Clients that are at home at the nodes that the fault hit.</param>
/// <param name="Others">All other clients.</param>
/// <param name="Counts">From its beginning until all was whole again.</param>
/// <param name="Recovery">From the moment at which it began to be mended until the clients of the hurt nodes hit 95 % as often as before.</param>
/// <param name="Slowest">The longest get that a node answered which nothing was done to.</param>
/// <param name="SlowestAfter">When it was answered, from the beginning of the fault.</param>
internal sealed record FaultRow(
    string Name, TimeSpan Duration, RatioRow Hurt, RatioRow Others, TrafficCounts Counts, TimeSpan Recovery, SlowGet Slowest, TimeSpan SlowestAfter)
{
    /// <summary>About the slowest get, which the table has no room for.</summary>
    public string Remark => string.Create(CultureInfo.InvariantCulture, $"slowest get: {Slowest}, {Slowest.What}, {SlowestAfter.TotalSeconds:0.0} s after the fault began");

    public const string Head =
        "| fault | lasts | gets | errors | wrong | lost with their node | misses | hit ratio of clients of the hurt nodes, before / during / after | of the others | recovery | slowest get | steps of sequences (repeated) |\n"
        + "|---|---|---|---|---|---|---|---|---|---|---|---|\n";

    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"| {Name} | {Duration.TotalSeconds:0.#} s | {Counts.Gets} | {Counts.Errors} | {Counts.Wrong} | {Counts.Lost} | {Counts.Misses} | {Hurt} | {Others} | {Recovery.TotalSeconds:0.0} s | {Slowest} | {Counts.Steps} ({Counts.Undecided}) |\n");
}
