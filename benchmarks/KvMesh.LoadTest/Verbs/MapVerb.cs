using System.CommandLine;
using System.Diagnostics;
using KvMesh.LoadTest.Measuring;
using KvMesh.LoadTest.Reporting;

namespace KvMesh.LoadTest.Verbs;

/// <summary>The block map: memory of a location, and the match of 1,000 blocks while changes are applied, beside a plain dictionary.</summary>
internal static class MapVerb
{
    private const int EventsPerSecond = 50_000;

    public static Command Create()
    {
        var blocks = new Option<int>("--blocks") { Description = "Locations in the map.", DefaultValueFactory = _ => 10_000_000 };
        var simulate = new Option<bool>("--simulate") { Description = "Bytes, events and probes at 10, 100 and 1,000 nodes instead; nothing is measured but the map's bytes." };
        return RunOptions.Verb(
            "map", "Block map: bytes a location, match of 1,000 blocks under 50,000 changes a second.", 1, command => { command.Add(blocks); command.Add(simulate); },
            (parse, settings) => parse.GetValue(simulate) ? MapSimulation.Run(parse.GetValue(blocks)) : Run(settings, parse.GetValue(blocks)));
    }

    private static Report Run(RunSettings settings, int blocks)
    {
        var report = new Report(
            "map",
            $"In one process, {blocks:#,##0} locations of one node. Memory: growth of the process while the map was filled, in steps of 100,000. Match: who holds "
            + "1,000 blocks of a chain, all of it there or half of it; one of 200 chains, at random. Baseline: Dictionary<KeyDigest, uint>, every key looked up, without any writer.");
        using var store = new MapStore(blocks);
        RunSettings.Progress("filling the map");
        AddMemory(report, store.Fill());
        RunSettings.Progress("filling the dictionary");
        store.FillDictionary();
        var rates = new List<double>();
        Contender[] contenders =
        [
            new("Dictionary, no writer", () => Measure(settings, store, MatchDictionary)),
            new("kvmesh, no writer", () => Measure(settings, store, MatchMap)),
            new("kvmesh, 50,000 changes/s", () => WithChanges(store, rates, () => Measure(settings, store, MatchMap))),
            new("kvmesh, half of it there, 50,000 changes/s", () => WithChanges(store, rates, () => Measure(settings, store, MatchHalf))),
        ];
        RunSettings.Progress("matching");
        foreach (var series in PairedRuns.Measure(contenders, settings))
        {
            report.Add(new ReportRow
            {
                What = "match of 1,000 blocks",
                Who = series.Name,
                Figure = series.SpreadOf(sample => sample.P50Microseconds),
                Unit = "µs p50",
                P50Microseconds = series.SpreadOf(sample => sample.P50Microseconds).Median,
                P99Microseconds = series.SpreadOf(sample => sample.P99Microseconds).Median,
                Target = series.Name.EndsWith("changes/s", StringComparison.Ordinal) ? 20 : null,
                TargetIsFigure = true,
                LessIsBetter = true,
            });
        }

        report.Note($"Changes that were applied in each run: {rates.Min():#,##0} to {rates.Max():#,##0} a second.");
        return report;
    }

    private static void AddMemory(Report report, IReadOnlyList<(int Locations, double Process, double Tables)> steps)
    {
        foreach (var count in new[] { 1_000_000, 5_000_000, steps[^1].Locations }.Distinct().Where(count => count <= steps[^1].Locations))
        {
            Add($"memory at {count / 1e6:0.#} M locations", steps.First(step => step.Locations >= count).Process);
        }

        var later = steps.Where(step => step.Locations >= 1_000_000).ToList();
        if (later.Count > 0)
        {
            Add("most on the way there, from 1 M on: just after growth", later.Max(step => step.Process));
            Add("least on the way there: just before growth", later.Min(step => step.Process));
        }

        void Add(string what, double bytes) => report.Add(new ReportRow
        {
            What = what,
            Who = "kvmesh",
            Figure = new Spread(bytes, bytes, bytes),
            Unit = "B/location",
            Target = 48,
            TargetIsFigure = true,
            LessIsBetter = true,
        });
    }

    private static Sample Measure(RunSettings settings, MapStore store, Action<MapStore, int> match) =>
        Workers.Run(1, 0, () => new RunWindow(settings.Time), (tally, window) =>
        {
            var random = new Random(tally.Index + 1);
            while (window.TryBegin(0))
            {
                var begin = Stopwatch.GetTimestamp();
                match(store, random.Next(MapStore.Chains));
                tally.Count(1, 0, Stopwatch.GetTimestamp() - begin);
            }
        });

    private static void MatchMap(MapStore store, int chain) => Expect(store.Match(chain));

    private static void MatchHalf(MapStore store, int chain) => Expect(store.MatchHalf(chain), MapStore.ChainBlocks / 2);

    private static void MatchDictionary(MapStore store, int chain) => Expect(store.MatchDictionary(chain));

    private static void Expect(int found, int expected = MapStore.ChainBlocks)
    {
        if (found != expected)
        {
            throw new LoadTestException($"The match found {found} blocks where {expected} are.");
        }
    }

    /// <summary>Applies changes at an even pace on a thread of its own while something is measured. What a busy machine kept from its turn is made up for.</summary>
    private static Sample WithChanges(MapStore store, List<double> rates, Func<Sample> measure)
    {
        var isOver = false;
        var applied = 0L;
        var startedAt = Stopwatch.GetTimestamp();
        var writer = new Thread(() =>
        {
            using var pause = new ManualResetEventSlim();
            while (!Volatile.Read(ref isOver))
            {
                var due = (long)(Stopwatch.GetElapsedTime(startedAt).TotalSeconds * EventsPerSecond);
                for (; applied < due; applied++)
                {
                    store.Change(applied);
                }

                pause.Wait(TimeSpan.FromMilliseconds(1));
            }
        });
        writer.Start();
        var sample = measure();
        rates.Add(applied / Stopwatch.GetElapsedTime(startedAt).TotalSeconds);
        Volatile.Write(ref isOver, true);
        writer.Join();
        return sample;
    }
}
