using System.CommandLine;
using KvMesh.Client;
using KvMesh.LoadTest.Clients;
using KvMesh.LoadTest.Measuring;
using KvMesh.LoadTest.Processes;
using KvMesh.LoadTest.Reporting;

namespace KvMesh.LoadTest.Verbs;

/// <summary>The 99th percentile of gets that arrive by the clock, alone and beside background work of the node.</summary>
internal static class OpenLoopVerb
{
    private const double Target = 1.5;
    private const double PartOfClosedLoop = 0.7;
    private const int Connections = 2;
    private const int HotBlocks = 512;
    private const long ArenaBytes = 2L << 30;

    public static Command Create()
    {
        var size = new Option<int>("--size") { Description = "Payload bytes.", DefaultValueFactory = _ => 1 << 20 };
        var dashboards = new Option<int>("--dashboards") { DefaultValueFactory = _ => 16 };
        var writes = new Option<long>("--demotion-bytes") { Description = "Bytes a second written while blocks are demoted.", DefaultValueFactory = _ => 64L << 20 };
        return RunOptions.Verb("openloop", "p99 of gets at 70 % of the closed-loop rate, alone and beside background work.", 5, Configure, (parse, settings) =>
            new Comparison(settings, parse.GetValue(size), parse.GetValue(dashboards), parse.GetValue(writes)).Run());

        void Configure(Command command)
        {
            command.Add(size);
            command.Add(dashboards);
            command.Add(writes);
        }
    }

    private sealed class Comparison(RunSettings settings, int size, int dashboards, long writtenPerSecond)
    {
        public Report Run()
        {
            using var quiet = new Subject(new KvMeshSettings { DataDirectory = "", ArenaBytes = ArenaBytes, DiskBytes = 8L << 30 }, size);
            using var scrubbed = new Subject(new KvMeshSettings { DataDirectory = "", ArenaBytes = ArenaBytes, ScrubBytesPerSecond = 64L << 20 }, size);
            RunSettings.Progress("closed loop");
            var closed = Spread.Of(Enumerable.Range(0, settings.Repeats).Select(_ => quiet.ClosedLoop(settings).OperationsPerSecond));
            var rate = closed.Median * PartOfClosedLoop;
            var report = new Report(
                "openloop",
                $"Gets of {size} bytes over TCP, {Connections} connections, arriving at random at {rate:0} a second, {PartOfClosedLoop:P0} of the closed loop's {closed.Median:0}. "
                + "A get's time runs from when it was due, so that waiting behind a slow one counts.");

            RunSettings.Progress("open loop");
            Contender[] contenders =
            [
                new("alone", () => quiet.OpenLoop(settings, rate)),
                new($"during demotion ({writtenPerSecond >> 20} MiB/s written)", () => quiet.WhileWriting(writtenPerSecond, () => quiet.OpenLoop(settings, rate))),
                new("during scrub (64 MiB/s)", () => scrubbed.OpenLoop(settings, rate)),
                new($"with {dashboards} dashboards open", () => quiet.WhileWatched(dashboards, () => quiet.OpenLoop(settings, rate))),
            ];
            var series = PairedRuns.Measure(contenders, settings);
            foreach (var contender in series)
            {
                var isAlone = ReferenceEquals(contender, series[0]);
                report.Add(new ReportRow
                {
                    What = "get, open loop",
                    Who = contender.Name,
                    Figure = contender.SpreadOf(sample => sample.P99Microseconds),
                    Unit = "µs p99",
                    Ratio = isAlone ? null : contender.RatioTo(series[0], sample => sample.P99Microseconds),
                    CoreSecondsPerGigabyte = contender.SpreadOf(sample => sample.CoreSecondsPerGigabyte).Median,
                    P50Microseconds = contender.SpreadOf(sample => sample.P50Microseconds).Median,
                    P99Microseconds = contender.SpreadOf(sample => sample.P99Microseconds).Median,
                    Target = isAlone ? null : Target,
                    LessIsBetter = true,
                });
            }

            return report;
        }
    }

    /// <summary>A node with a hot set, and the load on it.</summary>
    private sealed class Subject : IDisposable
    {
        private readonly NodeUnderTest _node;
        private readonly KvMeshClient _client;
        private readonly KvMeshClient _writer;
        private readonly int _size;

        public Subject(KvMeshSettings settings, int size)
        {
            _size = size;
            _node = new NodeUnderTest(settings);
            var options = new ClientOptions { Endpoint = _node.TcpEndpoint, Connections = Connections, AllowSharedMemory = false };
            _client = _node.Connect(options);
            _writer = _node.Connect(options with { Connections = 1 });
            NodeUnderTest.Fill(_client, HotBlocks, size);
        }

        public Sample ClosedLoop(RunSettings settings) => _node.Drive(
            _client, Connections, _size, settings, long.MaxValue, (worker, tally, window) => worker.GetAsync(HotBlocks, tally, window));

        public Sample OpenLoop(RunSettings settings, double rate)
        {
            const int Callers = 8;
            ScheduledCaller[] callers = [.. Enumerable.Range(1, Callers).Select(seed => new ScheduledCaller(_client, _size, HotBlocks, rate / Callers, seed))];
            return Workers.Run(Callers, _node.Node.ProcessId, () => new RunWindow(settings.Time), (tally, window) => callers[tally.Index].Run(tally, window));
        }

        /// <summary>Fresh blocks at a steady rate, so that others have to leave RAM all the time.</summary>
        public Sample WhileWriting(long bytesPerSecond, Func<Sample> run)
        {
            using var stop = new CancellationTokenSource();
            var writing = Task.Run(() => WriteAsync(bytesPerSecond, stop.Token));
            var sample = run();
            stop.Cancel();
            writing.GetAwaiter().GetResult();
            return sample;
        }

        /// <summary>Readers of the live figures, as open dashboards are: opened before the run, and read for a few updates.</summary>
        public Sample WhileWatched(int dashboards, Func<Sample> run)
        {
            using var watchers = new DashboardReaders(_node.Node.Http, dashboards);
            watchers.AwaitUpdates(updates: 3);
            return run();
        }

        public void Dispose() => _node.Dispose();

        private async Task WriteAsync(long bytesPerSecond, CancellationToken cancellationToken)
        {
            var hash = new byte[Protocol.Limits.ChainHashBytes];
            var payload = new byte[_size];
            using var timer = new PeriodicTimer(TimeSpan.FromSeconds((double)_size / bytesPerSecond));
            while (!cancellationToken.IsCancellationRequested && await timer.WaitForNextTickAsync(CancellationToken.None))
            {
                var number = BenchBlocks.NextFresh();
                BenchBlocks.WriteHash(hash, number);
                BenchBlocks.Sign(payload, number);
                await _writer.PutAsync(BenchBlocks.Scope, hash, ReadOnlyMemory<byte>.Empty, payload, CancellationToken.None);
            }
        }
    }
}
