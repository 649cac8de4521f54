using System.CommandLine;
using System.Diagnostics;
using KvMesh.Cluster.Sequences;
using KvMesh.LoadTest.Measuring;
using KvMesh.LoadTest.Processes;
using KvMesh.LoadTest.Reporting;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Sequences;
using KvMesh.Remote.Redis.Sequences;
using Microsoft.Extensions.Logging.Abstractions;
using StackExchange.Redis;

namespace KvMesh.LoadTest.Verbs;

/// <summary>Appends to sequences a second, embedded and on Redis, beside plain scripts and SETs on the same Redis; and at 10 beside 100,000 segments.</summary>
internal static class SequencesVerb
{
    private const int LongSegments = 100_000;
    private const int WriteBatch = 1000;

    private const string Script = "if redis.call('GETRANGE', KEYS[1], 8, 15) == 'x' then return 0 end redis.call('SET', KEYS[1], ARGV[1]) return 1";

    public static Command Create()
    {
        var callers = new Option<int>("--callers") { Description = "Sequences that grow at a time.", DefaultValueFactory = _ => 32 };
        return RunOptions.Verb(
            "sequences", "Sequence steps a second, embedded and on Redis; an append at 10 and at 100,000 segments.", 1, command => command.Add(callers),
            (parse, settings) => RunAsync(settings, parse.GetValue(callers)).GetAwaiter().GetResult());
    }

    private static async Task<Report> RunAsync(RunSettings settings, int callers)
    {
        using var folder = new TemporaryFolder();
        using var redis = RedisProcess.Start(0, folder.Path);
        using var connection = await ConnectionMultiplexer.ConnectAsync($"127.0.0.1:{redis.Port},syncTimeout=30000").ConfigureAwait(false);

        // What follows blocks; it must not do so on the thread on which the client of Redis completes its answers.
        await Task.Yield();
        using var embedded = new EmbeddedSequenceStore(Path.Combine(folder.Path, "sequences"), new SequenceRules(), TimeProvider.System, NullLoggerFactory.Instance);
        await using var own = new RedisSequenceConnection($"127.0.0.1:{redis.Port}", "bench", TimeProvider.System);
        using var remote = new RedisSequenceStore(own, new RedisSequenceStoreOptions { Deadline = TimeSpan.FromSeconds(30) }, TimeProvider.System);
        await using var here = Host(embedded);
        await using var there = Host(remote);
        var report = new Report(
            "sequences",
            $"{callers} callers, each with one command under way. Baselines in the same run and over the same connection: SET of 400 bytes, and a script that reads 8 bytes and sets 400. "
            + "An append writes the head (about 400 bytes) and a row of 112; embedded, both go to a file before the answer.");
        RunSettings.Progress("appends beside SET and EVAL");
        var value = new byte[400];
        Contender[] rates =
        [
            new("redis-benchmark SET, 400 bytes", () => RedisBenchmark(redis.Port, callers, ["-t", "set", "-d", "400"])),
            new("redis-benchmark EVAL, compare and set", () => RedisBenchmark(redis.Port, callers, ["eval", Script, "1", "plain", new string('v', 400)])),
            new("redis SET, 400 bytes", () => Measure(settings, callers, (caller, step) => connection.GetDatabase().StringSetAsync($"plain{caller}", value))),
            new("redis EVALSHA, compare and set", () => Measure(settings, callers, (caller, step) => connection.GetDatabase().ScriptEvaluateAsync(
                Script, [$"script{caller}"], [value]))),
            new("kvmesh append, Redis", () => Appends(settings, there, "rate", callers)),
            new("kvmesh append, embedded", () => Appends(settings, here, "rate", callers)),
        ];
        Add(report, "step", PairedRuns.Measure(rates, settings));

        RunSettings.Progress($"appends at 10 and at {LongSegments} segments");
        foreach (var (name, store, host) in new[] { ("Redis", (ISequenceStore)remote, here: there), ("embedded", embedded, here) })
        {
            Contender[] lengths =
            [
                new($"{name}, from 10 segments", () => AppendsFrom(settings, store, host, 10)),
                new($"{name}, from {LongSegments} segments", () => AppendsFrom(settings, store, host, LongSegments)),
            ];
            Add(report, "append, 1 caller", PairedRuns.Measure(lengths, settings));
        }

        return report;
    }

    private static void Add(Report report, string what, IReadOnlyList<Series> series)
    {
        foreach (var each in series)
        {
            report.Add(new ReportRow
            {
                What = what,
                Who = each.Name,
                Figure = each.SpreadOf(sample => sample.Operations / sample.Seconds),
                Unit = "1/s",
                P50Microseconds = each.SpreadOf(sample => sample.P50Microseconds).Median,
                P99Microseconds = each.SpreadOf(sample => sample.P99Microseconds).Median,
                Ratio = ReferenceEquals(each, series[0]) ? null : each.RatioTo(series[0], sample => sample.Operations / sample.Seconds),
            });
        }
    }

    private static SequenceHost Host(ISequenceStore store)
    {
        var plenty = new SequenceUsage(1 << 20, 1L << 40, 1L << 40);
        var options = new SequenceHostOptions { Node = "bench", TenantLimit = plenty, ShareSize = new SequenceUsage(1 << 10, 1L << 32, 0), LeaseTime = TimeSpan.FromHours(1) };
        return new SequenceHost(store, options, TimeProvider.System, NullLoggerFactory.Instance);
    }

    /// <summary>New sequences each time, so that every turn begins with the same.</summary>
    private static Sample Appends(RunSettings settings, SequenceHost host, string name, int callers)
    {
        var sequences = Enumerable.Range(0, callers).Select(caller => Growing.OpenAsync(host, $"{name}-{caller}-{Guid.NewGuid():n}").GetAwaiter().GetResult()).ToArray();
        var sample = Measure(settings, callers, (caller, _) => sequences[caller].AppendAsync());
        Array.ForEach(sequences, sequence => sequence.CloseAsync().GetAwaiter().GetResult());
        return sample;
    }

    private static Sample AppendsFrom(RunSettings settings, ISequenceStore store, SequenceHost host, int segments)
    {
        var sequence = Growing.OpenAsync(host, $"long-{Guid.NewGuid():n}").GetAwaiter().GetResult();
        sequence.FillAsync(store, segments).GetAwaiter().GetResult();
        var sample = Measure(settings, 1, (_, _) => sequence.AppendAsync());
        sequence.CloseAsync().GetAwaiter().GetResult();
        return sample;
    }

    private static Sample Measure(RunSettings settings, int callers, Func<int, long, Task> step)
    {
        var logs = Enumerable.Range(0, callers).Select(_ => new List<long>()).ToArray();
        var startedAt = Stopwatch.GetTimestamp();
        Task.WaitAll([.. Enumerable.Range(0, callers).Select(caller => Task.Run(() => CallAsync(caller)))]);
        var seconds = Stopwatch.GetElapsedTime(startedAt).TotalSeconds;
        var times = logs.SelectMany(log => log).Order().ToArray();
        return new Sample(times.Length, 0, seconds) { P50Microseconds = At(times, 0.5), P99Microseconds = At(times, 0.99) };

        async Task CallAsync(int caller)
        {
            for (long number = 0; Stopwatch.GetElapsedTime(startedAt) < settings.Time; number++)
            {
                var begin = Stopwatch.GetTimestamp();
                await step(caller, number).ConfigureAwait(false);
                logs[caller].Add(Stopwatch.GetTimestamp() - begin);
            }
        }
    }

    /// <summary>The rate that Redis's own program reaches with as many connections.</summary>
    private static Sample RedisBenchmark(int port, int callers, string[] what)
    {
        var start = new ProcessStartInfo("redis-benchmark") { RedirectStandardOutput = true };
        foreach (var argument in (string[])["-h", "127.0.0.1", "-p", $"{port}", "-c", $"{callers}", "-n", "30000", "--csv", .. what])
        {
            start.ArgumentList.Add(argument);
        }

        using var process = Process.Start(start)!;
        var line = process.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries)[^1];
        process.WaitForExit();
        var fields = line.Split("\",\"");
        if (process.ExitCode != 0 || fields.Length < 2 || !double.TryParse(fields[1].Trim('"'), System.Globalization.CultureInfo.InvariantCulture, out var rate))
        {
            throw new LoadTestException($"redis-benchmark ended with {process.ExitCode}: {line}");
        }

        return new Sample((long)rate, 0, 1);
    }

    private static double At(long[] times, double share) => times.Length == 0 ? 0 : times[(int)((times.Length - 1) * share)] * 1e6 / Stopwatch.Frequency;

    /// <summary>One sequence that grows by runs of four blocks.</summary>
    private sealed class Growing(SequenceHost host, SequenceId id, long epoch)
    {
        private static readonly BlockScope Scope = new("bench", "1", new byte[32], 0);
        private long _blocks;

        public static async Task<Growing> OpenAsync(SequenceHost host, string name)
        {
            var id = new SequenceId("bench", name);
            var reply = await host.ExecuteAsync(id, new OpenSequence { Scope = Scope.Bytes, Holder = "bench" }, default).ConfigureAwait(false);
            return new Growing(host, id, Check(reply).Epoch);
        }

        public async Task AppendAsync()
        {
            var append = new AppendSegment
            {
                Epoch = epoch,
                ParentHash = Hash(_blocks),
                Blocks = 4,
                Tokens = 64,
                Bytes = 4 << 20,
                FirstHash = Hash(_blocks + 1),
                LastHash = Hash(_blocks + 4),
            };
            _blocks = Check(await host.ExecuteAsync(id, append, default).ConfigureAwait(false)).Blocks;
        }

        public async Task CloseAsync() => Check(await host.ExecuteAsync(id, new CloseSequence(), default).ConfigureAwait(false));

        /// <summary>Writes rows in bulk, through the store itself; the host then knows nothing and reads the head once.</summary>
        public async Task FillAsync(ISequenceStore store, int segments)
        {
            var head = (await store.ReadAsync(id, default).ConfigureAwait(false)).Head!;
            for (var first = 0; first < segments; first += WriteBatch)
            {
                var rows = Enumerable.Range(first, Math.Min(WriteBatch, segments - first)).Select(row => new SegmentRow(
                    (uint)row * 4, 4, (ulong)row * 64, 64, (ulong)row << 22, 4 << 20, Hash((row * 4L) + 1), Hash((row * 4L) + 4))).ToArray();
                var last = rows[^1];
                var next = head with
                {
                    Version = head.Version + 1,
                    Segments = head.Segments + rows.Length,
                    Blocks = last.EndBlock,
                    Tokens = (long)last.StartToken + 64,
                    Bytes = (long)last.StartByte + (4 << 20),
                    LastHash = last.LastHash,
                };
                var written = await store.WriteAsync(id, new SequenceWrite(next, head.Version, head.Stamp, rows, head.Segments, head.ExpiresAt, head.TouchedAt), default).ConfigureAwait(false);
                head = written.Status == StoreStatus.Ok ? next : throw new LoadTestException($"Filling a sequence ended with {written.Status}: {written.Text}");
            }

            _blocks = head.Blocks;
            await AppendAsync().ConfigureAwait(false);
        }

        private static BlockHash Hash(long block)
        {
            Span<byte> bytes = stackalloc byte[32];
            bytes.Clear();
            BitConverter.TryWriteBytes(bytes, block);
            return new BlockHash(bytes);
        }

        private static SequenceInfo Check(SequenceReply reply) => reply.IsOk ? reply.Info! : throw new LoadTestException($"A step was refused: {reply.Refusal}, {reply.Text}");
    }
}
