using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using KvMesh.Cluster.Sequences;
using KvMesh.LoadTest.Measuring;
using KvMesh.LoadTest.Members;
using KvMesh.LoadTest.Processes;
using KvMesh.LoadTest.Reporting;
using KvMesh.Protocol.Sequences;
using KvMesh.Remote.Redis.Sequences;

namespace KvMesh.LoadTest.Verbs;

/// <summary>Reports of one tenant's quota from fleets of several sizes, all of whose nodes hold a share: how many a second one Redis takes, and its CPU for each.</summary>
internal static class QuotasVerb
{
    private const string Tenant = "bench";
    private const int UnderWay = 32;

    private static readonly SequenceUsage Limit = new(10_000_000, 1_000_000_000, 1L << 50);

    public static Command Create()
    {
        var nodes = new Option<int[]>("--nodes") { Description = "Sizes of the fleets.", DefaultValueFactory = _ => [10, 100, 1000], AllowMultipleArgumentsPerToken = true };
        return RunOptions.Verb(
            "quotas", "Quota reports of one tenant a second on one redis-server, from fleets of several sizes.", 1, command => command.Add(nodes),
            (parse, settings) => RunAsync(settings, parse.GetValue(nodes)!).GetAwaiter().GetResult());
    }

    private static async Task<Report> RunAsync(RunSettings settings, int[] sizes)
    {
        var report = new Report(
            "quotas",
            $"{UnderWay} reports under way, each from another node and of one sequence that changed; every node of the fleet holds a share. CPU of redis-server from its own INFO.");
        foreach (var size in sizes)
        {
            RunSettings.Progress($"{size} nodes");
            using var folder = new TemporaryFolder();
            using var redis = RedisProcess.Start(0, folder.Path);
            await using var connection = new RedisSequenceConnection($"127.0.0.1:{redis.Port}", "bench", TimeProvider.System);
            using var store = new RedisSequenceStore(connection, new RedisSequenceStoreOptions { Deadline = TimeSpan.FromSeconds(30) }, TimeProvider.System);
            await MeasureAsync(report, settings, store, redis.Port, size).ConfigureAwait(false);
        }

        return report;
    }

    private static async Task MeasureAsync(Report report, RunSettings settings, RedisSequenceStore store, int port, int size)
    {
        for (var node = 0; node < size; node++)
        {
            await ReportAsync(store, node, 1).ConfigureAwait(false);
        }

        var (rates, costs, step) = (new List<double>(), new List<double>(), 1L);
        for (var repeat = 0; repeat < settings.Repeats; repeat++)
        {
            var before = await RedisLoad.ReadAsync(port).ConfigureAwait(false);
            var startedAt = Stopwatch.GetTimestamp();
            var callers = Enumerable.Range(0, UnderWay).Select(async caller =>
            {
                for (var turn = caller; Stopwatch.GetElapsedTime(startedAt) < settings.Time; turn += UnderWay)
                {
                    await ReportAsync(store, turn % size, Interlocked.Increment(ref step)).ConfigureAwait(false);
                }
            });
            await Task.WhenAll(callers).ConfigureAwait(false);
            var took = Stopwatch.GetElapsedTime(startedAt);
            var load = await RedisLoad.ReadAsync(port).ConfigureAwait(false) - before;
            rates.Add(load.Scripts / took.TotalSeconds);
            costs.Add(load.Cores / load.Scripts * 1e6);
        }

        report.Add(Row($"{size} nodes", "reports", rates, "1/s", lessIsBetter: false));
        report.Add(Row($"{size} nodes", "CPU of redis-server for one", costs, "µs", lessIsBetter: true));
    }

    private static async Task ReportAsync(RedisSequenceStore store, int node, long version)
    {
        var name = string.Create(CultureInfo.InvariantCulture, $"s{node}");
        var now = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds();
        var entry = new SequenceEntry(name, version, new SequenceUsage(1, version % 100, version % 1000), now + 3_600_000, SequenceOrigin.None);
        var share = await store.ReportAsync(
            new TenantReport(
                Tenant, string.Create(CultureInfo.InvariantCulture, $"node-{node:0000}"), [entry], new SequenceUsage(1, 1, 1), new SequenceUsage(16, 1024, 1 << 20), Limit,
                TimeSpan.FromMinutes(1), now),
            CancellationToken.None).ConfigureAwait(false);
        if (share.Status != StoreStatus.Ok)
        {
            throw new LoadTestException($"A report was refused: {share.Text}");
        }
    }

    private static ReportRow Row(string what, string who, IEnumerable<double> values, string unit, bool lessIsBetter) => new()
    {
        What = what,
        Who = who,
        Figure = Spread.Of(values),
        Unit = unit,
        LessIsBetter = lessIsBetter,
    };
}
