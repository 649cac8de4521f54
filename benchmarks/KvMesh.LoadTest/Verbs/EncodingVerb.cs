using System.CommandLine;
using System.Diagnostics;
using KvMesh.Client;
using KvMesh.Client.Admin;
using KvMesh.LoadTest.Clients;
using KvMesh.LoadTest.Measuring;
using KvMesh.LoadTest.Processes;
using KvMesh.LoadTest.Reporting;

namespace KvMesh.LoadTest.Verbs;

/// <summary>What encoding blocks costs those who put and get meanwhile: nodes with and without codecs, in turns.</summary>
internal static class EncodingVerb
{
    private const int Connections = 2;

    public static Command Create()
    {
        var host = new Option<string>("--host-codec") { Description = "Codec of blocks in RAM.", DefaultValueFactory = _ => "kivi4-g64" };
        var disk = new Option<string>("--disk-codec") { Description = "Codec of blocks on disk.", DefaultValueFactory = _ => "lossless" };
        var share = new Option<double>("--share") { Description = "Processors that encoding may take, in RAM and, up to one, for the disk.", DefaultValueFactory = _ => 0.5 };
        var layers = new Option<int>("--layers") { Description = "Layers of a block, 128 KiB each.", DefaultValueFactory = _ => 32 };
        var rate = new Option<long>("--written-bytes") { Description = "Bytes a second that are written while gets are measured.", DefaultValueFactory = _ => 64L << 20 };
        var only = Tasks.Option("put", "get");
        return RunOptions.Verb(
            "encoding", "Puts and gets of nodes that encode blocks in RAM, on disk, in both, and not at all: throughput and p99.", 3,
            command =>
            {
                foreach (var option in new Option[] { host, disk, share, layers, rate, only })
                {
                    command.Add(option);
                }
            },
            (parse, settings) => new Comparison(
                settings, parse.GetValue(host)!, parse.GetValue(disk)!, parse.GetValue(share), parse.GetValue(layers), parse.GetValue(rate)).Run(parse.GetValue(only)!));
    }

    private sealed class Comparison(RunSettings settings, string hostCodec, string diskCodec, double share, int layers, long writtenPerSecond)
    {
        private readonly TensorBlocks _content = new(layers);

        public Report Run(string[] only)
        {
            var report = new Report(
                "encoding",
                $"{Connections} connections over TCP with one request in flight each, blocks of {_content.Bytes} bytes of bf16 keys and values, arenas of {Subject.ArenaBytes >> 20} MiB that are full "
                + $"before each turn, disks of {Subject.DiskBytes >> 20} MiB, encoding takes at most {share:0.##} processors for each of the two tiers. Puts are of fresh keys, so that for each some block leaves RAM for the disk. Gets are of {Subject.HotBlocks} "
                + $"blocks that were written last, while {writtenPerSecond >> 20} MiB/s of others are written. All nodes run; each has come to rest before the next one's turn.");
            var subjects = new List<Subject>();
            try
            {
                foreach (var (name, host, disk) in new[] { ("blocks as they are", "raw", "raw"), ($"{hostCodec} in RAM", hostCodec, "raw"), ($"{diskCodec} on disk", "raw", diskCodec), ($"{hostCodec} in RAM, {diskCodec} on disk", hostCodec, diskCodec) })
                {
                    RunSettings.Progress(name);
                    subjects.Add(new Subject(name, _content, host, disk, share));
                }

                if (only.Contains("put"))
                {
                    Add(report, "put of fresh keys", PairedRuns.Measure([.. subjects.Select(subject => new Contender(subject.Name, () => subject.Put(settings)))], settings));
                }

                if (only.Contains("get"))
                {
                    Add(report, "get", PairedRuns.Measure([.. subjects.Select(subject => new Contender(subject.Name, () => subject.Get(settings, writtenPerSecond)))], settings));
                }

                subjects.ForEach(subject => subject.Describe(report));
                return report;
            }
            finally
            {
                subjects.ForEach(subject => subject.Dispose());
            }
        }

        private static void Add(Report report, string what, IReadOnlyList<Series> series)
        {
            report.AddThroughput(what, series);
            foreach (var contender in series)
            {
                report.Add(new ReportRow
                {
                    What = $"{what}, p99",
                    Who = contender.Name,
                    Figure = contender.SpreadOf(sample => sample.P99Microseconds),
                    Unit = "µs",
                    LessIsBetter = true,
                    Ratio = ReferenceEquals(contender, series[0]) ? null : contender.RatioTo(series[0], sample => sample.P99Microseconds),
                });
            }
        }
    }

    /// <summary>A node under one policy, full, and its clients.</summary>
    private sealed class Subject : IDisposable
    {
        public const long ArenaBytes = 512L << 20;
        public const long DiskBytes = 6L << 30;
        public const int HotBlocks = 16;

        private static readonly TimeSpan Glance = TimeSpan.FromMilliseconds(200);
        private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

        private readonly NodeUnderTest _node;
        private readonly TensorBlocks _content;
        private readonly TensorWorker[] _workers;
        private readonly TensorWorker _writer;

        public Subject(string name, TensorBlocks content, string host, string disk, double share)
        {
            Name = name;
            _content = content;
            _node = new NodeUnderTest(new KvMeshSettings
            {
                DataDirectory = "",
                ArenaBytes = ArenaBytes,
                DiskBytes = DiskBytes,
                Layouts = content.Layouts,
                HostCodecs = host,
                DiskCodecs = disk,
                EncodeShare = share,
            });
            var options = new ClientOptions { Endpoint = _node.TcpEndpoint, Connections = Connections, AllowSharedMemory = false };
            var client = _node.Connect(options);
            _workers = [.. Enumerable.Range(1, Connections).Select(seed => new TensorWorker(client, content, seed))];
            _writer = new TensorWorker(_node.Connect(options with { Connections = 1 }), content, 0);
        }

        public string Name { get; }

        public Sample Put(RunSettings settings)
        {
            Begin();
            return Drive(settings, (worker, tally, window) => worker.PutAsync(tally, window));
        }

        /// <summary>Gets while fresh blocks come at a steady rate, so that others have to leave RAM all the time.</summary>
        public Sample Get(RunSettings settings, long writtenPerSecond)
        {
            Begin();
            using var stop = new CancellationTokenSource();
            var writing = Task.Run(() => WriteAsync(writtenPerSecond, stop.Token));
            try
            {
                return Drive(settings, (worker, tally, window) => worker.GetAsync(HotBlocks, tally, window));
            }
            finally
            {
                stop.Cancel();
                writing.GetAwaiter().GetResult();
            }
        }

        /// <summary>What the node encoded, and why it did not.</summary>
        public void Describe(Report report)
        {
            if (_workers.Sum(worker => worker.Misses) is > 0 and var misses)
            {
                report.Note($"{Name}: {misses} gets found that the block had left, and wrote it again.");
            }

            using var admin = new AdminClient(_node.Node.Http, null);
            var status = admin.GetStatusAsync(CancellationToken.None).GetAwaiter().GetResult();
            report.Note(
                $"{Name}: " + string.Join("; ", status.Tiers.Select(tier => FormattableString.Invariant(
                    $"{tier.Name} holds {tier.Blocks} blocks, {tier.Hits} hits, {tier.Evictions} left it, {tier.StoredBytes >> 20} MiB written, {tier.DroppedBlocks} dropped"))) + ".");
            foreach (var tier in status.Codings ?? [])
            {
                foreach (var figure in tier.Coding.Codecs)
                {
                    report.Note(FormattableString.Invariant(
                        $"{Name}, {tier.Tier}: {figure.Name} encoded {figure.EncodedBlocks} blocks, ratio {(double)figure.EncodedFromBytes / Math.Max(figure.EncodedToBytes, 1):0.00}, and decoded {figure.DecodedBlocks}."));
                }

                foreach (var fallback in tier.Coding.Fallbacks.Where(fallback => fallback.Blocks > 0))
                {
                    report.Note(FormattableString.Invariant($"{Name}, {tier.Tier}: {fallback.Blocks} times not encoded: {fallback.Reason}."));
                }
            }
        }

        public void Dispose() => _node.Dispose();

        private Sample Drive(RunSettings settings, Func<TensorWorker, WorkerTally, RunWindow, Task> work)
        {
            var sample = Workers.RunAsync(
                Connections, _node.Node.ProcessId, () => new RunWindow(settings.Time), (tally, window) => work(_workers[tally.Index], tally, window));
            AwaitIdle();
            return sample;
        }

        /// <summary>A full arena, the hot blocks in it last, and an empty disk but for what was written ahead: each turn begins with the same.</summary>
        private void Begin()
        {
            _node.Flush();
            for (var left = ArenaBytes; left > 0; left -= _content.Bytes)
            {
                _writer.PutAsync(BenchBlocks.NextFresh()).GetAwaiter().GetResult();
            }

            for (var number = 0; number < HotBlocks; number++)
            {
                _writer.PutAsync(number).GetAwaiter().GetResult();
            }

            AwaitIdle();
        }

        /// <summary>What a turn left to be encoded is not to be in the next one's figures.</summary>
        private void AwaitIdle()
        {
            for (var begin = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(begin) < Patience;)
            {
                var before = CpuMeter.CoreSeconds(_node.Node.ProcessId);
                Thread.Sleep(Glance);
                if (CpuMeter.CoreSeconds(_node.Node.ProcessId) - before <= 0.1 * Glance.TotalSeconds)
                {
                    return;
                }
            }
        }

        private async Task WriteAsync(long bytesPerSecond, CancellationToken cancellationToken)
        {
            using var timer = new PeriodicTimer(TimeSpan.FromSeconds((double)_content.Bytes / bytesPerSecond));
            while (!cancellationToken.IsCancellationRequested && await timer.WaitForNextTickAsync(CancellationToken.None).ConfigureAwait(false))
            {
                await _writer.PutAsync(BenchBlocks.NextFresh()).ConfigureAwait(false);
            }
        }
    }
}
