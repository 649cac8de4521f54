using System.CommandLine;
using System.Diagnostics;
using KvMesh.Codecs.Layouts;
using KvMesh.LoadTest.Measuring;
using KvMesh.LoadTest.Processes;
using KvMesh.LoadTest.Reporting;
using KvMesh.Worker.Model.Cache;
using KvMesh.Worker.Model.Compute;
using KvMesh.Worker.Model.Numerics;
using KvMesh.Worker.Model.Sampling;

namespace KvMesh.LoadTest.Verbs;

/// <summary>The transformer of the worker beside python3-torch: the same random weights, the same threads.</summary>
internal static class ModelVerb
{
    private const int PromptTokens = 512;
    private const int DecodedTokens = 16;
    private const int BlockTokens = 16;

    public static Command Create()
    {
        var threads = new Option<int>("--threads") { Description = "Threads of each side.", DefaultValueFactory = _ => Math.Min(2, Environment.ProcessorCount) };
        return RunOptions.Verb(
            "model", "Prefill and decode of the worker's transformer against python3-torch.", 0.5, command => command.Add(threads),
            (parse, settings) => Run(settings, parse.GetValue(threads)));
    }

    private static Report Run(RunSettings settings, int threads)
    {
        using var folder = new TemporaryFolder();
        RunSettings.Progress("writing random weights");
        var parameters = RandomModel.Write(folder.Path);
        using var torch = new TorchProcess(folder.Path, threads);
        using var team = new ComputeTeam(threads);
        using var model = LlamaModel.Load(folder.Path, team);
        using var own = new Engine(model);
        var report = new Report(
            "model",
            $"{parameters / 1e6:0} M parameters of singles, {threads} thread(s) a side. Prefill: {PromptTokens} tokens in one pass, logits of the last. "
            + $"Decode: {DecodedTokens} greedy tokens behind them, one at a time. KvMesh keeps keys and values as bfloat16 in blocks of {BlockTokens} tokens, torch as singles in one tensor.");
        RunSettings.Progress("prefill");
        Add(report, $"prefill of {PromptTokens}", 0.8, PairedRuns.Measure(
            [
                new Contender("torch", () => Measure(PromptTokens, torch.Id, () => torch.Run($"prefill {PromptTokens}"))),
                new Contender("kvmesh", () => Measure(PromptTokens, Environment.ProcessId, own.Prefill)),
            ],
            settings));
        RunSettings.Progress("decode");
        Add(report, $"decode at {PromptTokens}", 1, PairedRuns.Measure(
            [
                new Contender("torch", () => Measure(DecodedTokens, torch.Id, () => torch.Run($"decode {PromptTokens} {DecodedTokens}"))),
                new Contender("kvmesh", () => Measure(DecodedTokens, Environment.ProcessId, own.Decode)),
            ],
            settings));
        report.Note("torch computes with the BLAS that the system has: Debian's python3-torch alone brings the reference one, libopenblas0 a fast one. /etc/alternatives says: " + Blas() + ".");
        report.Note("Processor time is of the process that computes; a thread of kvmesh that waits for work spins for about 20 µs.");
        return report;
    }

    private static string Blas() => File.ResolveLinkTarget("/usr/lib/x86_64-linux-gnu/libblas.so.3", returnFinalTarget: true)?.FullName ?? "unknown";

    private static Sample Measure(int tokens, int process, Func<double> run)
    {
        var (machine, own) = (Neighbours.BusyCoreSeconds(), CpuMeter.CoreSeconds(process));
        var seconds = run();
        var used = CpuMeter.CoreSeconds(process) - own;
        return new Sample(tokens, 0, seconds, used, OtherCores: Math.Max(0, Neighbours.BusyCoreSeconds() - machine - used) / seconds);
    }

    private static void Add(Report report, string what, double target, IReadOnlyList<Series> series)
    {
        Add(report, what, "tokens/s", target, series, sample => sample.OperationsPerSecond);
        Add(report, what, "tokens/core-s", null, series, sample => sample.Operations / sample.ClientCoreSeconds);
        var disturbed = series.Sum(contender => contender.Samples.Count(sample => sample.OtherCores > Neighbours.MaxCores));
        if (disturbed > 0)
        {
            report.Note($"{what}: other processes were busy during {disturbed} of {series.Sum(contender => contender.Samples.Count)} runs.");
        }
    }

    private static void Add(Report report, string what, string unit, double? target, IReadOnlyList<Series> series, Func<Sample, double> figure)
    {
        foreach (var contender in series)
        {
            var isBaseline = ReferenceEquals(contender, series[0]);
            report.Add(new ReportRow
            {
                What = what,
                Who = contender.Name,
                Figure = contender.SpreadOf(figure),
                Unit = unit,
                Ratio = isBaseline ? null : contender.RatioTo(series[0], figure),
                Target = isBaseline ? null : target,
            });
        }
    }

    /// <summary>One sequence of this project's transformer.</summary>
    private sealed class Engine : IDisposable
    {
        private readonly ForwardPass _pass;
        private readonly KvPagePool _pool;
        private readonly PooledKvPages _pages;
        private readonly int[] _prompt = [.. Enumerable.Range(0, PromptTokens).Select(index => 7 * index % RandomModel.Vocabulary)];

        public Engine(LlamaModel model)
        {
            const int Tokens = PromptTokens + DecodedTokens;
            _pass = new ForwardPass(model);
            _pool = new KvPagePool(KvPageFormat.Of(model.Config, KvElement.BFloat16, BlockTokens), (Tokens + BlockTokens - 1) / BlockTokens);
            _pages = _pool.NewSequence();
            _pages.TryReserve(Tokens);
        }

        public double Prefill()
        {
            var started = Stopwatch.GetTimestamp();
            _pass.Run(new ModelInput(_prompt, 0, _pages));
            return Stopwatch.GetElapsedTime(started).TotalSeconds;
        }

        public double Decode()
        {
            var started = Stopwatch.GetTimestamp();
            var token = 1;
            for (var position = PromptTokens; position < PromptTokens + DecodedTokens; position++)
            {
                _pass.Run(new ModelInput(new[] { token }, position, _pages));
                token = TokenSampler.Choose(_pass.Logits(0), SamplingRule.Greedy, position + 1);
            }

            return Stopwatch.GetElapsedTime(started).TotalSeconds;
        }

        public void Dispose()
        {
            _pages.Dispose();
            _pool.Dispose();
            _pass.Dispose();
        }
    }
}
