using System.CommandLine;
using KvMesh.Engine.Arena;
using KvMesh.LoadTest.Measuring;
using KvMesh.LoadTest.Reporting;

namespace KvMesh.LoadTest.Verbs;

/// <summary>Speed of the arena's allocator, and how full an arena is when an allocation first fails after long churn.</summary>
internal static class AllocatorVerb
{
    private const int PairsPerTurn = 1_000;

    public static Command Create()
    {
        var operations = new Option<int>("--operations") { Description = "Allocations and frees before utilisation counts.", DefaultValueFactory = _ => 1_000_000 };
        return RunOptions.Verb(
            "allocator", "Allocations and frees a second, and utilisation after churn.", 0.5, command => command.Add(operations),
            (parse, settings) => Run(settings, parse.GetValue(operations)));
    }

    private static Report Run(RunSettings settings, int operations)
    {
        var report = new Report(
            "allocator",
            "Speed: alloc and free of 4 KiB in an empty arena of 1 GiB, threads sharing one allocator under one lock; and free a random extent, "
            + "then allocate, in a full arena of 10 GiB. Utilisation: requested bytes ÷ arena at the first failure after the churn, arena = 128 × the largest size.");
        foreach (var threads in ThreadCounts.OfThisMachine)
        {
            RunSettings.Progress($"empty arena, {threads} threads");
            AddSpeed(report, $"empty arena, {threads} thread(s)", PairedRuns.Measure([new Contender("kvmesh", () => Pairs(threads, settings))], settings));
        }

        RunSettings.Progress("full arena");
        AddSpeed(report, "full arena of 1 and 2 MiB blocks", PairedRuns.Measure([new Contender("kvmesh", () => FullArena(settings))], settings));

        foreach (var order in Enum.GetValues<ChurnOrder>())
        {
            RunSettings.Progress($"utilisation, {order}");
            AddUtilisation(report, $"every size of every model, victims: {order}", 0.85, settings, seed => ChurnTable.EverySize(order, seed).Run(operations));
            AddUtilisation(report, $"all sizes of one model, worst model, victims: {order}", 0.95, settings, seed => ChurnTable.WorstModel(order, operations, seed));
            AddUtilisation(report, $"one size, worst size, victims: {order}", 0.95, settings, seed => ChurnTable.WorstSize(order, operations, seed));
        }

        report.Note("Victims: Oldest frees what was allocated first (LRU of blocks used once), AroundLargestHole frees a neighbour of the largest hole, "
            + "Random frees any extent, which no retention policy does and which is the hardest.");
        return report;
    }

    private static void AddSpeed(Report report, string what, IReadOnlyList<Series> series) => report.Add(new ReportRow
    {
        What = what,
        Who = "kvmesh",
        Figure = series[0].SpreadOf(sample => sample.OperationsPerSecond / 1e6),
        Unit = "M pairs/s",
        Target = 5,
        TargetIsFigure = true,
    });

    private static void AddUtilisation(Report report, string what, double target, RunSettings settings, Func<int, double> run) => report.Add(new ReportRow
    {
        What = what,
        Who = "kvmesh",
        Figure = Spread.Of(Enumerable.Range(1, settings.Repeats).Select(seed => 100 * run(seed))),
        Unit = "% of the arena",
        Target = 100 * target,
        TargetIsFigure = true,
    });

    private static Sample Pairs(int threads, RunSettings settings)
    {
        var allocator = new ExtentAllocator(1L << 30, 1 << 18);
        var gate = new Lock();
        return Workers.Run(threads, 0, () => new RunWindow(settings.Time), (tally, window) =>
        {
            while (window.TryBegin(0))
            {
                for (var pair = 0; pair < PairsPerTurn; pair++)
                {
                    long offset;
                    lock (gate)
                    {
                        allocator.TryAllocate(4096, out offset);
                    }

                    lock (gate)
                    {
                        allocator.Free(offset);
                    }
                }

                tally.Count(PairsPerTurn, 0, 0);
            }
        });
    }

    private static Sample FullArena(RunSettings settings)
    {
        var random = new Random(1);
        var allocator = new ExtentAllocator(10L << 30, 1 << 18);
        var live = new List<long>();
        while (allocator.TryAllocate(BlockBytes(random), out var offset))
        {
            live.Add(offset);
        }

        return Workers.Run(1, 0, () => new RunWindow(settings.Time), (tally, window) =>
        {
            while (window.TryBegin(0))
            {
                for (var pair = 0; pair < PairsPerTurn; pair++)
                {
                    Replace(allocator, live, random);
                }

                tally.Count(PairsPerTurn, 0, 0);
            }
        });
    }

    private static void Replace(ExtentAllocator allocator, List<long> live, Random random)
    {
        var place = random.Next(live.Count);
        allocator.Free(live[place]);
        if (allocator.TryAllocate(BlockBytes(random), out var offset))
        {
            live[place] = offset;
            return;
        }

        live[place] = live[^1];
        live.RemoveAt(live.Count - 1);
    }

    private static long BlockBytes(Random random) => (1L << 20) << random.Next(2);
}

/// <summary>What is freed when an allocation fails.</summary>
internal enum ChurnOrder
{
    Oldest,
    AroundLargestHole,
    Random,
}
