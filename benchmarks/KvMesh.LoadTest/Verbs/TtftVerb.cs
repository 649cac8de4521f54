using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using KvMesh.LoadTest.Faults.Networks;
using KvMesh.LoadTest.Measuring;
using KvMesh.LoadTest.Processes;
using KvMesh.LoadTest.Reporting;
using KvMesh.Worker.Roles;
using KvMesh.Worker.Serving;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;

namespace KvMesh.LoadTest.Verbs;

/// <summary>Time to the first token of workers on a node: with and without a prefix that another one computed, over links of given bandwidth, and with the prompt computed elsewhere.</summary>
internal static class TtftVerb
{
    private const int PromptTokens = 513;
    private const int SharedTokens = 384;
    private const int BlockTokens = 16;

    /// <summary>Two thirds of the time that computing the prompt takes on two cores.</summary>
    private const double StreamedBytesPerSecond = 10e6;

    /// <summary>What a repeated measurement of the same differs by.</summary>
    private const double Noise = 1.1;

    public static Command Create()
    {
        var threads = new Option<int>("--threads") { Description = "Threads of each worker.", DefaultValueFactory = _ => Math.Min(2, Environment.ProcessorCount) };
        var links = new Option<double[]>("--links") { Description = "Bandwidths between node and worker, MB/s.", AllowMultipleArgumentsPerToken = true, DefaultValueFactory = _ => [0.5, 4, 400] };
        return RunOptions.Verb(
            "ttft", "Time to the first token: cold, with a warm prefix, over slow links, with a prefill worker.", 1,
            command =>
            {
                command.Add(threads);
                command.Add(links);
            },
            (parse, settings) => RunAsync(settings, parse.GetValue(threads), parse.GetValue(links)!).GetAwaiter().GetResult());
    }

    private static async Task<Report> RunAsync(RunSettings settings, int threads, double[] links)
    {
        using var folder = new TemporaryFolder();
        RunSettings.Progress("writing random weights");
        var parameters = RandomModel.Write(folder.Path);
        using var data = new TemporaryFolder();
        using var node = KvMeshProcess.Start(new KvMeshSettings { DataDirectory = data.Path, ArenaBytes = 1L << 30, MaxBlocks = 1 << 16, Unix = false });
        node.AwaitBackedArena();
        var options = new WorkerOptions
        {
            ModelDirectory = folder.Path,
            Node = $"tcp://127.0.0.1:{node.NativePort}",
            BlockTokens = BlockTokens,
            CacheBytes = 512 << 20,
            Threads = threads,
            SectionTimeout = TimeSpan.FromMinutes(1),
        };
        var report = new Report(
            "ttft",
            $"{parameters / 1e6:0} M parameters of singles, {threads} thread(s) a worker, prompts of {PromptTokens} tokens in blocks of {BlockTokens}, one at a time; each is new to the worker that is measured. "
            + "The node is a process of its own, reached over TCP. Time until the first token.");
        await using var writer = await Measured.StartAsync(options);
        await WarmAsync(report, settings, options, writer);
        await DelegatedAsync(report, settings, options);
        await StreamedAsync(report, settings, options, node.NativePort);
        foreach (var link in links)
        {
            await OverLinkAsync(report, settings, options, writer, node.NativePort, link);
        }

        return report;
    }

    private static async Task WarmAsync(Report report, RunSettings settings, WorkerOptions options, Measured writer)
    {
        RunSettings.Progress("a warm prefix");
        await using var reader = await Measured.StartAsync(options);
        var prompts = new Prompts(writer, PromptTokens);
        var series = PairedRuns.Measure(
            [
                new Contender("cold", () => reader.Run(prompts.Fresh())),
                new Contender($"{SharedTokens} warm", () => reader.Run(prompts.Published(SharedTokens))),
            ],
            settings);
        Add(report, $"{SharedTokens} of {PromptTokens} tokens known to the mesh", series, 0, _ => null);
        foreach (var contender in series)
        {
            double[] sorted = [.. contender.Samples.Select(sample => sample.Seconds).Order()];
            report.Note(string.Create(
                CultureInfo.InvariantCulture,
                $"{contender.Name}: p50 {sorted[(sorted.Length - 1) / 2]:0.000} s, p95 {sorted[(int)Math.Ceiling(0.95 * sorted.Length) - 1]:0.000} s of {sorted.Length} prompts."));
        }

        report.Note(string.Create(CultureInfo.InvariantCulture, $"What is not known is {(double)(PromptTokens - SharedTokens) / PromptTokens:0.00} of the prompt."));
    }

    /// <summary>Two processes' work on one machine: what the division itself costs.</summary>
    private static async Task DelegatedAsync(Report report, RunSettings settings, WorkerOptions options)
    {
        RunSettings.Progress("prefill elsewhere");
        await using var prefill = await Measured.StartAsync(options with { Role = WorkerRole.Prefill });
        await using var decode = await Measured.StartAsync(options with { Role = WorkerRole.Decode, PrefillWorkers = [prefill.Address] });
        await using var both = await Measured.StartAsync(options);
        var prompts = new Prompts(both, PromptTokens);
        var series = PairedRuns.Measure(
            [
                new Contender("one worker", () => both.Run(prompts.Fresh())),
                new Contender("prefill and decode", () => decode.Run(prompts.Fresh())),
            ],
            settings);
        Add(report, "a prompt nobody knows", series, 0, _ => null);
        var figures = decode.Worker.Figures().Mesh;
        report.Note($"prefill and decode: {figures.DelegatedPrompts} prompts were computed elsewhere, {figures.FailedDelegations} were not; {figures.FollowedBlocks} blocks were followed of {(settings.Repeats + 1) * (PromptTokens / BlockTokens)}.");
    }

    /// <summary>How much of the way from prefill to decode worker is hidden behind the computation: the decode worker follows each layer, or comes when all is there.</summary>
    private static async Task StreamedAsync(Report report, RunSettings settings, WorkerOptions options, int port)
    {
        RunSettings.Progress("layers that are followed");
        await using var link = new SlowLink(port, StreamedBytesPerSecond);
        var near = options with { Node = link.Endpoint };
        await using var prefill = await Measured.StartAsync(near with { Role = WorkerRole.Prefill });
        await using var both = await Measured.StartAsync(options);
        await using var following = await Measured.StartAsync(near with { Role = WorkerRole.Decode, PrefillWorkers = [prefill.Address] });
        await using var waiting = await Measured.StartAsync(near with { PlansLoads = false });
        var prompts = new Prompts(both, PromptTokens);
        var series = PairedRuns.Measure(
            [
                new Contender("one worker", () => both.Run(prompts.Fresh())),
                new Contender("prefill elsewhere, each layer followed", () => following.Run(prompts.Fresh())),
                new Contender("prefill elsewhere, then all pulled", () => OneAfterTheOther(prefill, waiting, prompts.Fresh())),
            ],
            settings);
        var what = string.Create(CultureInfo.InvariantCulture, $"a prompt nobody knows, link of {StreamedBytesPerSecond / 1e6} MB/s");
        Add(report, what, series, 2, contender => contender == series[1] ? 1 : null);
        var needed = (PromptTokens / BlockTokens) * waiting.Worker.Figures().Mesh.PulledBytes / Math.Max(1, waiting.Worker.Figures().Mesh.PulledBlocks);
        var pull = needed / StreamedBytesPerSecond;
        var exposed = series[1].SpreadOf(Seconds).Median - series[0].SpreadOf(Seconds).Median;
        var rounds = settings.Repeats + 1;
        var (followed, pulled) = (following.Worker.Figures().Mesh, waiting.Worker.Figures().Mesh);
        report.Note(string.Create(
            CultureInfo.InvariantCulture,
            $"{what}: {needed / 1e6:0.00} MB are needed, {pull:0.00} s of the link. Followed layer by layer {exposed:0.00} s more than one worker takes: {1 - (exposed / pull):0 %} of the pull is hidden."));
        report.Note(string.Create(
            CultureInfo.InvariantCulture,
            $"Bytes pulled over bytes needed: {(double)pulled.PulledBytes / (rounds * needed):0.000} when all is there; {(double)(followed.FollowedBlocks + followed.PulledBlocks) / (rounds * (PromptTokens / BlockTokens)):0.000} of the blocks when followed."));
    }

    private static Sample OneAfterTheOther(Measured prefill, Measured decode, int[] prompt)
    {
        var first = prefill.Run(prompt);
        var begun = Stopwatch.GetTimestamp();
        prefill.Worker.FlushAsync(default).GetAwaiter().GetResult();
        var flushed = Stopwatch.GetElapsedTime(begun).TotalSeconds;
        var second = decode.Run(prompt);
        return first with
        {
            Seconds = first.Seconds + flushed + second.Seconds,
            ClientCoreSeconds = first.ClientCoreSeconds + second.ClientCoreSeconds,
            OtherCores = Math.Max(first.OtherCores, second.OtherCores),
        };
    }

    /// <summary>The whole prompt is known to the mesh. Planning must be no slower than either computing all or fetching all.</summary>
    private static async Task OverLinkAsync(Report report, RunSettings settings, WorkerOptions options, Measured writer, int port, double megabytesPerSecond)
    {
        RunSettings.Progress($"a link of {megabytesPerSecond} MB/s");
        await using var link = new SlowLink(port, megabytesPerSecond * 1e6);
        await using var alone = await Measured.StartAsync(options with { Node = null });
        await using var fetching = await Measured.StartAsync(options with { Node = link.Endpoint, PlansLoads = false });
        await using var planning = await Measured.StartAsync(options with { Node = link.Endpoint });
        var prompts = new Prompts(writer, PromptTokens);
        var series = PairedRuns.Measure(
            [
                new Contender("computes all", () => alone.Run(prompts.Fresh())),
                new Contender("fetches all", () => fetching.Run(prompts.Published(PromptTokens))),
                new Contender("plans", () => planning.Run(prompts.Published(PromptTokens))),
            ],
            settings);
        var best = series[0].SpreadOf(Seconds).Median <= series[1].SpreadOf(Seconds).Median ? 0 : 1;
        var what = string.Create(CultureInfo.InvariantCulture, $"all known, link of {megabytesPerSecond} MB/s");
        Add(report, what, series, best, contender => contender == series[2] ? Noise : null);
        var figures = planning.Worker.Figures();
        report.Note($"{what}: who plans fetched {figures.Mesh.PulledBlocks} of {(settings.Repeats + 1) * (PromptTokens / BlockTokens)} blocks.");
    }

    private static double Seconds(Sample sample) => sample.Seconds;

    private static void Add(Report report, string what, IReadOnlyList<Series> series, int baseline, Func<Series, double?> targetOf)
    {
        foreach (var contender in series)
        {
            var isBaseline = ReferenceEquals(contender, series[baseline]);
            report.Add(new ReportRow
            {
                What = what,
                Who = contender.Name,
                Figure = contender.SpreadOf(Seconds),
                Unit = "s",
                Ratio = isBaseline ? null : contender.RatioTo(series[baseline], Seconds),
                Target = isBaseline ? null : targetOf(contender),
                LessIsBetter = true,
            });
        }
    }

    /// <summary>Random prompts, each once.</summary>
    private sealed class Prompts(Measured writer, int tokens)
    {
        private static int _made;

        public int[] Fresh()
        {
            var random = new Random(++_made);
            return [.. Enumerable.Range(0, tokens).Select(_ => random.Next(RandomModel.Vocabulary))];
        }

        /// <summary>One whose first tokens the writer has computed and put on the node.</summary>
        public int[] Published(int first)
        {
            var prompt = Fresh();
            writer.Run(prompt[..first]);
            writer.Worker.FlushAsync(default).GetAwaiter().GetResult();
            return prompt;
        }
    }

    /// <summary>A worker in this process, with its door for prefills.</summary>
    private sealed class Measured : IAsyncDisposable
    {
        private readonly WebApplication _door;

        private Measured(WorkerRuntime worker, WebApplication door) => (Worker, _door) = (worker, door);

        public WorkerRuntime Worker { get; }

        public Uri Address => new(_door.Urls.First());

        public static async Task<Measured> StartAsync(WorkerOptions options)
        {
            var worker = await WorkerRuntime.StartAsync(options, default);
            var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
            builder.WebHost.UseKestrelCore().UseUrls("http://127.0.0.1:0");
            builder.Services.AddRoutingCore();
            var door = builder.Build();
            door.UseRouting();
            worker.MapPrefill(door);
            door.UseEndpoints(_ => { });
            await door.StartAsync();
            var begun = Stopwatch.GetTimestamp();
            while (options.Node is not null && !worker.Health().NodeReached)
            {
                if (Stopwatch.GetElapsedTime(begun) > TimeSpan.FromSeconds(30))
                {
                    throw new LoadTestException($"the worker did not reach {options.Node}: {worker.Health().NodeRefusal}");
                }

                await Task.Yield();
            }

            return new Measured(worker, door);
        }

        /// <summary>Has the first token computed.</summary>
        public Sample Run(int[] prompt)
        {
            var machine = Neighbours.BusyCoreSeconds();
            var own = CpuMeter.CoreSeconds(Environment.ProcessId);
            var begun = Stopwatch.GetTimestamp();
            FirstTokenAsync(prompt).GetAwaiter().GetResult();
            var seconds = Stopwatch.GetElapsedTime(begun).TotalSeconds;
            var used = CpuMeter.CoreSeconds(Environment.ProcessId) - own;
            return new Sample(1, 0, seconds, used, OtherCores: Math.Max(0, Neighbours.BusyCoreSeconds() - machine - used) / seconds);
        }

        public async ValueTask DisposeAsync()
        {
            await _door.DisposeAsync();
            await Worker.DisposeAsync();
        }

        private async Task FirstTokenAsync(int[] prompt)
        {
            await foreach (var _ in Worker.Generator.GenerateAsync(new GenerationRequest { Prompt = prompt, MaxTokens = 1 }, default))
            {
            }
        }
    }
}
