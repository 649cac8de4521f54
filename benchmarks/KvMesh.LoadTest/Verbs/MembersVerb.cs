using System.CommandLine;
using System.Diagnostics;
using KvMesh.Cluster.Membership;
using KvMesh.LoadTest.Measuring;
using KvMesh.LoadTest.Members;
using KvMesh.LoadTest.Processes;
using KvMesh.LoadTest.Reporting;

namespace KvMesh.LoadTest.Verbs;

/// <summary>
/// Many members of one cluster in one process, on a real redis-server: what they cost it, how soon they notice a death and a join, and how they
/// come back when it was started again empty.
/// </summary>
internal static class MembersVerb
{
    private const int Deaths = 5;
    private const int Joins = 5;

    /// <summary>How long redis-server stays away.</summary>
    private static readonly TimeSpan Away = TimeSpan.FromSeconds(3);

    public static Command Create()
    {
        var members = new Option<int>("--members") { Description = "Members of the cluster.", DefaultValueFactory = _ => 1000 };
        return RunOptions.Verb(
            "members", "Members of one cluster on one redis-server: joining all at once, its CPU, a death, a join, and redis-server started again empty.", 10, command => command.Add(members),
            (parse, settings) => RunAsync(settings, parse.GetValue(members)).GetAwaiter().GetResult());
    }

    private static async Task<Report> RunAsync(RunSettings settings, int count)
    {
        using var folder = new TemporaryFolder();
        var options = new MembershipOptions();
        var report = new Report(
            "members",
            $"{count} members in one process, {MemberFleet.MembersPerLink} to a connection, and a bare connection for each that listens to the news, heartbeats every {options.HeartbeatInterval.TotalMilliseconds:0} ms, "
            + $"failure time {options.FailureTime.TotalSeconds} s. CPU of redis-server is user and system time from its own INFO; bytes are what it received and sent.");
        var redis = RedisProcess.Start(0, folder.Path);
        try
        {
            await using var listeners = new NewsListeners(redis.Port, MemberFleet.News, count);
            await using var fleet = new MemberFleet(redis.Port, options);
            await Task.Yield();
            await JoinAllAsync(report, fleet, redis.Port, count).ConfigureAwait(false);
            await RestAsync(report, settings, redis.Port, count).ConfigureAwait(false);
            await DieAndJoinAsync(report, fleet, "before").ConfigureAwait(false);
            redis = await StartAgainAsync(report, fleet, listeners, redis, folder.Path).ConfigureAwait(false);
            await DieAndJoinAsync(report, fleet, "after redis-server was started again").ConfigureAwait(false);
            report.Add(Row("all of it", "members that were taken away while they lived", [fleet.MostDepartures - (2.0 * Deaths)], "members"));
            report.Add(Row("all of it", "answers that came late and were used", [fleet.LateAnswers], "answers"));
            report.Note("The members share two cores with redis-server and with whatever else runs on the machine: times contain their own waiting for a core.");
            return report;
        }
        finally
        {
            redis.Dispose();
        }
    }

    private static async Task JoinAllAsync(Report report, MemberFleet fleet, int port, int count)
    {
        RunSettings.Progress($"{count} members join");
        var before = await RedisLoad.ReadAsync(port).ConfigureAwait(false);
        var startedAt = Stopwatch.GetTimestamp();
        for (var index = 0; index < count; index++)
        {
            fleet.Begin();
            if (index % 10 == 9)
            {
                await Task.Delay(2).ConfigureAwait(false);
            }
        }

        var begun = Stopwatch.GetElapsedTime(startedAt);
        await fleet.UntilWholeAsync().ConfigureAwait(false);
        var took = Stopwatch.GetElapsedTime(startedAt);
        var load = await RedisLoad.ReadAsync(port).ConfigureAwait(false) - before;
        report.Add(Row("all join at once", "the last one begins after", [begun.TotalSeconds], "s"));
        AddHerd(report, "all join at once", took, load);
    }

    /// <summary>What a herd cost in all.</summary>
    private static void AddHerd(Report report, string what, TimeSpan took, RedisLoad load)
    {
        report.Add(Row(what, "until all see all", [took.TotalSeconds], "s"));
        report.Add(Row(what, "CPU of redis-server, in all", [load.Cores], "s"));
        report.Add(Row(what, "CPU of the members, in all", [load.OwnCores], "s"));
        report.Add(Row(what, "scripts", [load.Scripts], "scripts"));
        report.Add(Row(what, "to the members", [load.BytesOut / 1e6], "MB"));
    }

    private static async Task RestAsync(Report report, RunSettings settings, int port, int count)
    {
        RunSettings.Progress("heartbeats");
        await Task.Delay(TimeSpan.FromSeconds(5)).ConfigureAwait(false);
        var samples = new List<RedisLoad>();
        for (var repeat = 0; repeat < settings.Repeats; repeat++)
        {
            var before = await RedisLoad.ReadAsync(port).ConfigureAwait(false);
            var startedAt = Stopwatch.GetTimestamp();
            await Task.Delay(settings.Time).ConfigureAwait(false);
            samples.Add((await RedisLoad.ReadAsync(port).ConfigureAwait(false) - before) / Stopwatch.GetElapsedTime(startedAt).TotalSeconds);
        }

        report.Add(Row("heartbeats", "CPU of redis-server", samples.Select(load => load.Cores * 100), "% of a core"));
        report.Add(Row("heartbeats", "CPU of the members", samples.Select(load => load.OwnCores * 100), "% of a core"));
        report.Add(Row("heartbeats", "scripts", samples.Select(load => load.Scripts), "1/s"));
        report.Add(Row("heartbeats", "from a member", samples.Select(load => load.BytesIn / count), "B/s"));
        report.Add(Row("heartbeats", "to a member", samples.Select(load => load.BytesOut / count), "B/s"));
    }

    private static async Task DieAndJoinAsync(Report report, MemberFleet fleet, string when)
    {
        var (noticed, epochs, seen) = (new List<double>(), new List<double>(), new List<double>());
        for (var death = 1; death <= Deaths; death++)
        {
            RunSettings.Progress($"death {death} of {Deaths}");
            var before = fleet.Epoch;
            noticed.Add((await fleet.LoseOneAsync().ConfigureAwait(false)).TotalSeconds);
            epochs.Add(fleet.Epoch - before);
        }

        for (var join = 1; join <= Joins; join++)
        {
            RunSettings.Progress($"join {join} of {Joins}");
            fleet.Begin();
            seen.Add((await fleet.UntilWholeAsync().ConfigureAwait(false)).TotalSeconds);
        }

        report.Add(Row($"a member dies, {when}", "until every other has noticed", noticed, "s", target: 5));
        report.Add(Row($"a member dies, {when}", "epochs of a view", epochs, "epochs"));
        report.Add(Row($"a member joins, {when}", "until all see all", seen, "s"));
    }

    /// <summary>Kill -9 and a new one without data: every connection is made anew, and every member registers again.</summary>
    private static async Task<RedisProcess> StartAgainAsync(Report report, MemberFleet fleet, NewsListeners listeners, RedisProcess redis, string folder)
    {
        RunSettings.Progress("redis-server is killed");
        var (port, departures) = (redis.Port, fleet.MostDepartures);
        redis.Dispose();
        await Task.Delay(Away).ConfigureAwait(false);
        RunSettings.Progress("redis-server is started again, empty");
        var own = Environment.CpuUsage.TotalTime.TotalSeconds;
        var again = RedisProcess.StartAt(port, folder);
        var startedAt = Stopwatch.GetTimestamp();
        await fleet.UntilWholeAsync().ConfigureAwait(false);
        var took = Stopwatch.GetElapsedTime(startedAt);
        var load = await RedisLoad.ReadAsync(port).ConfigureAwait(false);
        AddHerd(report, "redis-server started again empty", took, load with { OwnCores = load.OwnCores - own });
        report.Add(Row("redis-server started again empty", "members taken away by it", [fleet.MostDepartures - departures], "members"));
        report.Add(Row("redis-server started again empty", "listeners connected again", [listeners.Connected], "connections"));
        return again;
    }

    private static ReportRow Row(string what, string who, IEnumerable<double> values, string unit, double? target = null) => new()
    {
        What = what,
        Who = who,
        Figure = Spread.Of(values),
        Unit = unit,
        Target = target,
        LessIsBetter = true,
        TargetIsFigure = target is not null,
    };
}
