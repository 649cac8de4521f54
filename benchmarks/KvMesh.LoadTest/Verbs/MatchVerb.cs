using System.CommandLine;
using System.Diagnostics;
using KvMesh.Benchmarks.Engine;
using KvMesh.LoadTest.Measuring;
using KvMesh.LoadTest.Reporting;

namespace KvMesh.LoadTest.Verbs;

/// <summary>Prefix match of 1,000 blocks with millions in the index, the lease included, beside single look-ups of all 1,000 keys.</summary>
internal static class MatchVerb
{
    private const double TargetMicroseconds = 20;

    public static Command Create()
    {
        var blocks = new Option<int>("--blocks") { Description = "Blocks in the index.", DefaultValueFactory = _ => 10_000_000 };
        var chains = new Option<int>("--chains") { Description = "Chains that are matched, at random.", DefaultValueFactory = _ => 200 };
        return RunOptions.Verb(
            "match", "Prefix match of 1,000 blocks, lease included, 1 to N threads.", 0.5, command => { command.Add(blocks); command.Add(chains); },
            (parse, settings) => Run(settings, parse.GetValue(blocks), parse.GetValue(chains)));
    }

    private static Report Run(RunSettings settings, int blocks, int chains)
    {
        RunSettings.Progress($"filling the index with {blocks:#,##0} blocks");
        using var store = new MatchStore(blocks, chains);
        var report = new Report(
            "match",
            $"In one process. {store.Blocks:#,##0} blocks in the index; each call matches one of {chains} chains, chosen at random, and leases it for 30 s. "
            + "Baseline: the same keys one by one, 1,000 matches of a single block.");
        foreach (var threads in ThreadCounts.OfThisMachine)
        {
            RunSettings.Progress($"{threads} thread(s)");
            Contender[] contenders =
            [
                new("1,000 blocks one by one", () => Measure(threads, settings, store, EachAlone)),
                new("kvmesh, whole chain", () => Measure(threads, settings, store, (match, chain) => Expect(match.Match(chain, MatchStore.ChainBlocks), MatchStore.ChainBlocks))),
                new("kvmesh, half of the chain asked", () => Measure(threads, settings, store, (match, chain) => Expect(match.Match(chain, MatchStore.ChainBlocks / 2), MatchStore.ChainBlocks / 2))),
                new("kvmesh, nothing there", () => Measure(threads, settings, store, (match, _) => Expect(match.Match(-1, MatchStore.ChainBlocks), 0))),
            ];
            foreach (var series in PairedRuns.Measure(contenders, settings))
            {
                report.Add(new ReportRow
                {
                    What = $"match of 1,000, {threads} thread(s)",
                    Who = series.Name,
                    Figure = series.SpreadOf(sample => sample.P50Microseconds),
                    Unit = "µs p50",
                    P50Microseconds = series.SpreadOf(sample => sample.P50Microseconds).Median,
                    P99Microseconds = series.SpreadOf(sample => sample.P99Microseconds).Median,
                    Target = threads == 1 && series.Name == "kvmesh, whole chain" ? TargetMicroseconds : null,
                    TargetIsFigure = true,
                    LessIsBetter = true,
                });
            }
        }

        return report;
    }

    private static void EachAlone(MatchStore store, int chain)
    {
        for (var block = 0; block < MatchStore.ChainBlocks; block++)
        {
            Expect(store.MatchOne(chain, block), 1);
        }
    }

    private static void Expect(int matched, int expected)
    {
        if (matched != expected)
        {
            throw new LoadTestException($"The match found {matched} blocks where {expected} are.");
        }
    }

    private static Sample Measure(int threads, RunSettings settings, MatchStore store, Action<MatchStore, int> step) =>
        Workers.Run(threads, 0, () => new RunWindow(settings.Time), (tally, window) =>
        {
            var random = new Random(tally.Index + 1);
            while (window.TryBegin(0))
            {
                var begin = Stopwatch.GetTimestamp();
                step(store, random.Next(store.Chains));
                tally.Count(1, 0, Stopwatch.GetTimestamp() - begin);
            }
        });
}
