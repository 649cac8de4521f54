using System.CommandLine;
using System.Diagnostics;
using KvMesh.Cluster.Placement;
using KvMesh.Cluster.Placement.Scheduler;
using KvMesh.Cluster.Scheduling;
using KvMesh.Cluster.Sequences;
using KvMesh.LoadTest.Measuring;
using KvMesh.LoadTest.Reporting;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.LoadTest.Verbs;

/// <summary>Steps of the real scheduler over fleets of several sizes: time, memory, and what the nodes are asked.</summary>
internal static class PlacementVerb
{
    private const int WarmSteps = 12;

    public static Command Create()
    {
        var nodes = new Option<int[]>("--nodes") { Description = "Sizes of the fleets.", DefaultValueFactory = _ => [10, 100, 1000], AllowMultipleArgumentsPerToken = true };
        return RunOptions.Verb(
            "placement", "A step of the placement scheduler: time, bytes allocated, bytes asked of the nodes.", 1, command => command.Add(nodes),
            (parse, settings) => RunAsync(settings, parse.GetValue(nodes)!).GetAwaiter().GetResult());
    }

    private static async Task<Report> RunAsync(RunSettings settings, int[] sizes)
    {
        var report = new Report(
            "placement",
            $"SchedulerStep as it runs in a node, {settings.Repeats} steps after {WarmSteps}. Every node names 64 wanted prefixes of {MeasuredFleet.Prefixes}, popular ones on most nodes, of "
            + $"{MeasuredFleet.LeastBlocks} to {MeasuredFleet.MostBlocks} blocks of 2 MiB; one to three nodes hold each. Nodes answer at once, in the bytes of the wire, and carry orders out.");
        foreach (var size in sizes)
        {
            RunSettings.Progress($"{size} nodes");
            await MeasureAsync(report, settings.Repeats, size).ConfigureAwait(false);
        }

        report.Note(
            "The scheduler's own work: reading reports, chains and answers, looking holders up in a map that it has all of, planning, and its book. Waiting for a network is not in it: "
            + "nodes are asked 64 at a time, and a scheduler that is no directory for everything asks the directories.");
        return report;
    }

    private static async Task MeasureAsync(Report report, int steps, int size)
    {
        using var fleet = new MeasuredFleet(size);
        using var store = new EmbeddedSequenceStore(null, new SequenceRules(), TimeProvider.System, NullLoggerFactory.Instance);
        var host = new SequenceHost(store, new SequenceHostOptions { Node = "bench" }, TimeProvider.System, NullLoggerFactory.Instance);
        await using var hostEnd = host.ConfigureAwait(false);
        var options = new PlacementServiceOptions();
        var journal = new EmbeddedPlacementJournal(null, NullLoggerFactory.Instance);
        var scheduler = new PlacementScheduler(
            new SchedulerParts(fleet, fleet.Locator, fleet, fleet, fleet, host, options, 1L << 30),
            new EmbeddedSchedulerLease(fleet.Self, new OrderGate(), TimeProvider.System), journal, TimeProvider.System, NullLoggerFactory.Instance);
        await using var schedulerEnd = scheduler.ConfigureAwait(false);
        var book = new OrderBook(TimeProvider.System);
        var sessions = new SessionBook(host, fleet.Tenants, options.PrefetchMargin, TimeProvider.System);
        using var term = new SchedulerTerm(1, book, new TermJournal(journal, book, scheduler.Figures, 1), sessions, CancellationToken.None);
        var step = new SchedulerStep(scheduler, term, new HolderMap(fleet.Self, fleet.Locator, fleet), TimeProvider.System);

        var first = await TakeAsync(step, fleet, scheduler).ConfigureAwait(false);
        for (var warm = 1; warm < WarmSteps; warm++)
        {
            await TakeAsync(step, fleet, scheduler).ConfigureAwait(false);
        }

        var taken = new List<Step>();
        for (var index = 0; index < steps; index++)
        {
            taken.Add(await TakeAsync(step, fleet, scheduler).ConfigureAwait(false));
        }

        var what = $"{size} nodes";
        report.Add(Row(what, "first step of a term", [first.Milliseconds], "ms"));
        report.Add(Row(what, "step", taken.Select(each => each.Milliseconds), "ms"));
        report.Add(Row(what, "planning alone", taken.Select(each => each.PlanMilliseconds), "ms"));
        report.Add(Row(what, "allocated in a step", taken.Select(each => each.Allocated / 1e6), "MB"));
        report.Add(Row(what, "asked and told in a step", taken.Select(each => each.Bytes / 1e3), "kB"));
        report.Add(Row(what, "questions of a step", taken.Select(each => (double)each.Calls), ""));
        report.Add(Row(what, "prefixes of a plan", [term.LastInput?.Prefixes.Length ?? 0], ""));
        report.Add(Row(what, "orders so far", [book.List().Length], ""));
    }

    private static async Task<Step> TakeAsync(SchedulerStep step, MeasuredFleet fleet, PlacementScheduler scheduler)
    {
        var (bytes, calls) = fleet.Traffic;
        var planned = scheduler.Figures.PlanTime;
        var allocated = GC.GetTotalAllocatedBytes(precise: true);
        var startedAt = Stopwatch.GetTimestamp();
        if (!await step.TakeAsync(CancellationToken.None).ConfigureAwait(false))
        {
            throw new LoadTestException("The term of the scheduler ended.");
        }

        var milliseconds = Stopwatch.GetElapsedTime(startedAt).TotalMilliseconds;
        var (bytesAfter, callsAfter) = fleet.Traffic;
        return new Step(
            milliseconds, (scheduler.Figures.PlanTime - planned).TotalMilliseconds, GC.GetTotalAllocatedBytes(precise: true) - allocated, bytesAfter - bytes, callsAfter - calls);
    }

    private static ReportRow Row(string what, string who, IEnumerable<double> values, string unit) =>
        new() { What = what, Who = who, Figure = Spread.Of(values), Unit = unit, LessIsBetter = true };

    private readonly record struct Step(double Milliseconds, double PlanMilliseconds, long Allocated, long Bytes, long Calls);
}
