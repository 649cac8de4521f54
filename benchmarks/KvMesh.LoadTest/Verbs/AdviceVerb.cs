using System.CommandLine;
using System.Globalization;
using System.Text;
using KvMesh.Engine.Tests.Advice;
using KvMesh.LoadTest.Measuring;
using KvMesh.LoadTest.Reporting;
using KvMesh.Simulation.Traces;

namespace KvMesh.LoadTest.Verbs;

/// <summary>The capacity advisor that ships: how far its curves are from the exact ones, and what it costs.</summary>
internal static class AdviceVerb
{
    private const double TargetPoints = 1;
    private const double TargetPercentOfCore = 1;
    private const double TouchesPerSecond = 100_000;

    public static Command Create()
    {
        var trace = new Option<FileInfo[]>("--trace") { Description = "Requests in Mooncake's format, beside the generated ones.", AllowMultipleArgumentsPerToken = true };
        trace.AcceptExistingOnly();
        var seeds = new Option<int>("--seeds") { Description = "Generated traces of each shape.", DefaultValueFactory = _ => 4 };
        return RunOptions.Verb(
            "advice", "Errors of the capacity advisor against the exact curve, and its cost at 100,000 touches a second.", 1, command => { command.Add(trace); command.Add(seeds); },
            (parse, settings) => Run(settings, parse.GetValue(trace) ?? [], parse.GetValue(seeds)));
    }

    private static Report Run(RunSettings settings, FileInfo[] files, int seeds)
    {
        var report = new Report(
            "advice",
            "In one process, the advisor as it ships. Errors: traces in the order in which a node tells of them, beside the exact curve, which keeps every touch; at 100 sizes from a hundredth of all blocks to all, each larger than the one before by the "
            + "same factor; points of hit ratio. Cost: one thread tells of the same prompts over and over, keys in runs; either all of their blocks are here, or those that the trace asks for the first time are stored again, one by one; the baseline walks the same keys. What both take of a core at 100,000 blocks asked for a second, by processor time.");
        List<Workload> recorded = [.. files.Select(file => new Workload(file.Name, [MooncakeTrace.Load(file.FullName)]))];
        List<Workload> generated =
        [
            .. new (int Requests, int Tenants)[] { (64, 1), (1_500, 1), (1_500, 8), (12_000, 1), (12_000, 8), (24_000, 20) }
                .Select(shape => new Workload(string.Create(CultureInfo.InvariantCulture, $"{shape.Requests:#,##0} prompts, {shape.Tenants} tenant(s)"),
                    [.. Enumerable.Range(1, seeds).Select(seed => FleetTrace.Generate(new FleetTraceOptions { Seed = seed, Requests = shape.Requests, Tenants = shape.Tenants }))])),
        ];
        AddErrors(report, recorded.Concat(generated));
        foreach (var workload in recorded.Concat(generated))
        {
            AddCost(report, workload, settings);
        }

        return report;
    }

    private static void AddErrors(Report report, IEnumerable<Workload> workloads)
    {
        var table = new StringBuilder("| trace | touches | blocks | sampled | all tenants, mean | worst size | mean over equal steps | a tenant, median | nine of ten | worst | within its margin |\n|---|---|---|---|---|---|---|---|---|---|---|\n");
        foreach (var workload in workloads)
        {
            RunSettings.Progress($"errors, {workload.Name}");
            AdviceTrial[] trials = [.. workload.Traces.Select(AdviceTrial.Of)];
            AdviceError[] tenants = [.. trials.Where(trial => trial.Tenants.Count > 1).SelectMany(trial => trial.Tenants.Values).OrderBy(error => error.Mean)];
            table.Append(CultureInfo.InvariantCulture, $"| {workload.Name}{(trials.Length > 1 ? $", {trials.Length} seeds" : "")} | {trials.Average(trial => trial.Touches):#,##0} ");
            table.Append(CultureInfo.InvariantCulture, $"| {trials.Average(trial => trial.DistinctBlocks):#,##0} | one in {string.Join(" or ", trials.Select(trial => Math.Round(1 / trial.Rate)).Distinct().Order())} ");
            table.Append(CultureInfo.InvariantCulture, $"| {100 * trials.Average(trial => trial.All.Mean):0.00} | {100 * trials.Max(trial => trial.All.Largest):0.00} | {100 * trials.Average(trial => trial.Even.Mean):0.00} ");
            table.Append(tenants.Length == 0 ? "| | | | |\n" : string.Create(
                CultureInfo.InvariantCulture,
                $"| {100 * tenants[tenants.Length / 2].Mean:0.00} | {100 * tenants[tenants.Length * 9 / 10].Mean:0.00} | {100 * tenants[^1].Mean:0.00} | {tenants.Count(error => error.Mean <= error.Margin)} of {tenants.Length} |\n"));
            report.Add(new ReportRow
            {
                What = $"mean error of the curve of all tenants, {workload.Name}",
                Who = "kvmesh",
                Figure = Spread.Of(trials.Select(trial => 100 * trial.All.Mean)),
                Unit = "points",
                Target = TargetPoints,
                TargetIsFigure = true,
                LessIsBetter = true,
            });
        }

        report.AddTable(table.ToString());
    }

    private static void AddCost(Report report, Workload workload, RunSettings settings)
    {
        RunSettings.Progress($"cost, {workload.Name}");
        var touches = new AdviceTouches(workload.Traces[0]);
        Contender[] contenders =
        [
            new("walk of the keys", () => Measure(settings, touches, touches.Walk)),
            new("kvmesh, all found", () => Measure(settings, touches, touches.TellFound)),
            new("kvmesh, what was new stored again", () => Measure(settings, touches, touches.TellStored)),
        ];
        var series = PairedRuns.Measure(contenders, settings);
        foreach (var each in series)
        {
            var isBaseline = ReferenceEquals(each, series[0]);
            report.Add(new ReportRow
            {
                What = string.Create(CultureInfo.InvariantCulture, $"{workload.Name}: {touches.DistinctBlocks:#,##0} blocks, one in {Math.Round(1 / touches.Rate)} sampled"),
                Who = each.Name,
                Figure = each.SpreadOf(PercentOfCore),
                Unit = "% of a core",
                Ratio = isBaseline ? null : each.RatioTo(series[0], PercentOfCore),
                Target = isBaseline ? null : TargetPercentOfCore,
                TargetIsFigure = true,
                LessIsBetter = true,
            });
        }
    }

    /// <summary>By processor time, so that neighbours on the machine do not count.</summary>
    private static double PercentOfCore(Sample sample) => 100 * TouchesPerSecond * sample.ClientCoreSeconds / sample.Operations;

    private static Sample Measure(RunSettings settings, AdviceTouches touches, Func<int, int> step) =>
        Workers.Run(1, 0, () => new RunWindow(settings.Time), (tally, window) =>
        {
            for (var prompt = 0; window.TryBegin(0); prompt = (prompt + 1) % touches.Prompts)
            {
                tally.Count(step(prompt), 0, 0);
            }
        });

    private sealed record Workload(string Name, IReadOnlyList<List<PromptRequest>> Traces);
}
