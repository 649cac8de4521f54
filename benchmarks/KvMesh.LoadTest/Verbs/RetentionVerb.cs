using System.CommandLine;
using System.Globalization;
using System.Text;
using KvMesh.LoadTest.Measuring;
using KvMesh.LoadTest.Reporting;
using KvMesh.Simulation.Retention;
using KvMesh.Simulation.Traces;

namespace KvMesh.LoadTest.Verbs;

/// <summary>What every retention policy costs: time of a touch and of an eviction, and memory.</summary>
internal static class RetentionVerb
{
    private const string Baseline = "lru";
    private const double TargetNanoseconds = 1000;

    /// <summary>Capacities: this share of the trace's different blocks, and so many times as much.</summary>
    private const int Share = 100;
    private static readonly int[] Sizes = [1, 5, 25];

    public static Command Create()
    {
        var trace = new Option<FileInfo>("--trace") { Description = "Requests in Mooncake's format. Default: a generated hour." };
        trace.AcceptExistingOnly();
        return RunOptions.Verb(
            "retention", "What each retention policy costs a touch and an eviction, and its memory.", 1, command => command.Add(trace),
            (parse, settings) => Run(settings, parse.GetValue(trace)));
    }

    private static Report Run(RunSettings settings, FileInfo? file)
    {
        var report = new Report(
            "retention",
            $"One simulated cache after the other in one process, over {file?.Name ?? "a generated hour (seed 1)"}, the policies in turns; the first turn, in which everything is compiled, does not count. Times include the simulated cache's own share, "
            + "which is the same for all. Memory is what is kept at the end for each block that is here: the block with its links, and the policy.");
        var trace = ChainedTrace.Of(file is null ? FleetTrace.Generate(new FleetTraceOptions()) : MooncakeTrace.Load(file.FullName));
        var memory = new StringBuilder("| blocks | policy | bytes a block |\n|---|---|---|\n");
        foreach (var capacity in Sizes.Select(size => Math.Max(1, size * (trace.DistinctBlocks / Share))))
        {
            RunSettings.Progress($"{capacity} blocks");
            var costs = SimulatedPolicies.Names.ToDictionary(name => name, _ => new List<RetentionCost>());
            for (var turn = 0; turn <= settings.Repeats; turn++)
            {
                foreach (var name in SimulatedPolicies.Names)
                {
                    costs[name].Add(RetentionCost.Measure(trace, name, capacity, TimeProvider.System));
                }
            }

            AddRows(report, costs, $"a touch, {capacity:#,##0} blocks", cost => cost.NanosecondsPerTouch, TargetNanoseconds);
            AddRows(report, costs, $"an eviction, {capacity:#,##0} blocks", cost => cost.NanosecondsPerEviction, null);
            foreach (var (name, all) in costs)
            {
                memory.Append(CultureInfo.InvariantCulture, $"| {capacity:#,##0} | {name} | {Spread.Of(all.Skip(1).Select(cost => cost.BytesPerBlock)).Median:0} |\n");
            }
        }

        report.AddTable(memory.ToString());
        return report;
    }

    private static void AddRows(Report report, Dictionary<string, List<RetentionCost>> costs, string what, Func<RetentionCost, double> nanoseconds, double? target)
    {
        foreach (var (name, all) in costs)
        {
            report.Add(new ReportRow
            {
                What = what,
                Who = name,
                Figure = Spread.Of(all.Skip(1).Select(nanoseconds)),
                Unit = "ns",
                Ratio = name == Baseline ? null : Spread.Of(all.Zip(costs[Baseline], (own, lru) => nanoseconds(own) / nanoseconds(lru)).Skip(1)),
                Target = name == Baseline ? null : target,
                TargetIsFigure = true,
                LessIsBetter = true,
            });
        }
    }
}
