using System.CommandLine;
using System.Diagnostics.Metrics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using KvMesh.Cli.Hosting;
using KvMesh.Cli.Output;
using KvMesh.Cli.Parsing;
using KvMesh.Gateway.Access;
using KvMesh.Gateway.Http.Metrics;
using KvMesh.Worker.Front;
using KvMesh.Worker.Model.Files;
using KvMesh.Worker.Model.Text;
using KvMesh.Worker.Roles;
using Microsoft.Extensions.Logging;

namespace KvMesh.Cli.Commands;

/// <summary><c>kvmesh worker</c>: a model behind OpenAI's API until a signal ends it, with a node's blocks where there is a node.</summary>
internal static class WorkerCommand
{
    private const int DefaultPort = 8620;
    private const string TokenizerFile = "tokenizer.json";
    private const string TcpScheme = "tcp://";
    private const string UnixScheme = "unix:";

    public static Command Create(Terminal terminal)
    {
        var options = new Options();
        var command = new Command("worker", "Run a worker: compute with a model of the Llama family, answer /v1/completions, and share keys and values with the mesh.");
        foreach (var option in options.All)
        {
            command.Add(option);
        }

        command.SetAction((parse, cancellationToken) => RunAsync(parse, options, terminal, cancellationToken));
        return command.WithExamples(
            "kvmesh worker --model ./llama                                    a worker of its own at http://127.0.0.1:8620/v1/completions",
            "kvmesh worker --model ./llama --node tcp://127.0.0.1:8601        prefixes come from a node and go there",
            "kvmesh worker --model ./llama --node gpu-7:8601 --role prefill --http 0.0.0.0:8621 --insecure   computes prompts for others",
            "kvmesh worker --model ./llama --node gpu-7:8601 --role decode --prefill http://gpu-7:8621",
            "Stop it with Ctrl-C or SIGTERM: answers under way get 5 s. A second signal ends it at once.");
    }

    private static async Task<int> RunAsync(ParseResult parse, Options options, Terminal terminal, CancellationToken cancellationToken)
    {
        var listen = Listen(parse.GetValue(options.Http));
        var admits = Admits(parse.GetValue(options.TokenFile));
        if (admits is null && !IPAddress.IsLoopback(listen.Address) && !parse.GetValue(options.Insecure))
        {
            throw new CommandException(
                ExitCode.Usage, $"--http is {listen}, which other machines reach, and there are no credentials: give --token-file, or allow everyone with --insecure.");
        }

        using var logging = LoggerFactory.Create(log => log.SetMinimumLevel(LogLevel.Warning)
            .AddConsole(console => console.LogToStandardErrorThreshold = LogLevel.Trace)
            .AddSimpleConsole(line => line.SingleLine = true));
        try
        {
            var tokenizer = Tokenizer.Read(Path.Combine(parse.GetRequiredValue(options.Model), TokenizerFile));
            await using var runtime = await WorkerRuntime.StartAsync(OfRuntime(parse, options, logging), cancellationToken);
            using var meter = new Meter("KvMesh.Worker");
            WorkerInstruments.Add(meter, runtime.Figures);
            using var figures = new MeterCollector(own => ReferenceEquals(own, meter), null, [new("service.name", "kvmesh-worker"), new("kvmesh.model", runtime.ModelName)]);
            await using var front = await WorkerFront.StartAsync(
                new FrontOptions
                {
                    Listen = listen,
                    ModelName = runtime.ModelName,
                    MaxTokens = runtime.Config.MaxTokens,
                    Vocabulary = runtime.Config.Vocabulary,
                    EndTokens = runtime.Config.EndTokens,
                    Admits = admits,
                    Health = () => Health(runtime.Health(), hasNode: parse.GetValue(options.Node) is not null, cancellationToken.IsCancellationRequested),
                    MetricsPage = () => PrometheusText.Write(figures.Collect()),
                    Meter = meter,
                    Logging = logging,
                },
                runtime.Generator, tokenizer, runtime.MapPrefill, cancellationToken);
            Announce(terminal, parse.GetValue(options.Json), new WorkerReport(Environment.ProcessId, $"{front.Address}", runtime.ModelName, runtime.Revision, parse.GetValue(options.Node)));
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await terminal.Error.WriteLineAsync("kvmesh: stopping; a second signal ends the process at once");
        }
        catch (ModelFileException e)
        {
            throw new CommandException(ExitCode.Failure, e.Message, e);
        }
        catch (ArgumentException e)
        {
            throw new CommandException(ExitCode.Usage, e.Message, e);
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            throw new CommandException(ExitCode.Failure, $"--http {listen} cannot be used: {e.Message.TrimEnd('.')}. Stop the other process or give another address.", e);
        }

        return (int)ExitCode.Success;
    }

    private static WorkerOptions OfRuntime(ParseResult parse, Options options, ILoggerFactory logging)
    {
        var plain = new WorkerOptions { ModelDirectory = parse.GetRequiredValue(options.Model) };
        return plain with
        {
            Role = parse.GetValue(options.Role),
            Node = parse.GetValue(options.Node) is { } node ? EndpointOf(node) : null,
            NodeToken = options.Token.Of(parse),
            ModelName = parse.GetValue(options.Name),
            Revision = parse.GetValue(options.Revision),
            PrefillWorkers = parse.GetValue(options.Prefill) ?? [],
            PrefillToken = parse.GetValue(options.PrefillToken),
            BlockTokens = parse.GetValue(options.BlockTokens),
            CacheBytes = options.Cache.Of(parse),
            Threads = parse.GetValue(options.Threads) is > 0 and var threads ? threads : plain.Threads,
            MaxRunning = parse.GetValue(options.MaxRunning),
            MaxWaiting = parse.GetValue(options.MaxWaiting),
            Parts = parse.GetValue(options.Parts),
            Shards = parse.GetValue(options.Shards),
            PlansLoads = !parse.GetValue(options.FetchAll),
            HandOvers = parse.GetValue(options.HandOvers),
            Logging = logging,
        };
    }

    /// <summary>A name and a port alone are the native door of a node there.</summary>
    private static string EndpointOf(string node) =>
        node.StartsWith(TcpScheme, StringComparison.Ordinal) || node.StartsWith(UnixScheme, StringComparison.Ordinal) ? node : TcpScheme + node;

    /// <summary>Who may call, by the token file that nodes have: whose entry may read and write.</summary>
    private static Func<string, bool>? Admits(string? file)
    {
        if (file is null)
        {
            return null;
        }

        try
        {
            var entries = TokenFile.Read(file).Where(entry => entry.Rights.HasFlag(AccessRights.Read | AccessRights.Write)).ToArray();

            // Every entry is compared, whichever fits.
            return token => entries.Aggregate(false, (fits, entry) => entry.IsToken(Encoding.UTF8.GetBytes(token)) | fits);
        }
        catch (TokenFileException e)
        {
            throw new CommandException(ExitCode.Usage, e.Message, e);
        }
    }

    /// <summary>A worker whose node does not answer still computes: no balancer should send its callers away for that.</summary>
    private static FrontHealth Health(WorkerHealth health, bool hasNode, bool isStopping)
    {
        var parts = new List<KeyValuePair<string, string>>();
        if (isStopping)
        {
            parts.Add(new("reason", "the worker is stopping"));
        }

        parts.Add(new("node", !hasNode ? "none" : health.NodeReached ? "reached" : health.NodeRefusal ?? "not reached"));
        parts.AddRange(health.PrefillWorkers.Select(worker => KeyValuePair.Create($"{worker.Address}", worker.IsUp ? "up" : worker.Reason)));
        return new FrontHealth(!isStopping, parts);
    }

    private static void Announce(Terminal terminal, bool asJson, WorkerReport report)
    {
        if (asJson)
        {
            terminal.WriteJson(report, CliJson.Default.WorkerReport);
            return;
        }

        terminal.Error.WriteLine("kvmesh: serving");
        terminal.Error.WriteLine($"  http    {report.Http} (completions, health, metrics)");
        terminal.Error.WriteLine($"  model   {report.Model}, revision {report.Revision}");
        terminal.Error.WriteLine($"  node    {report.Node ?? "none"}");
    }

    private static IPEndPoint Listen(ListenAddress? address)
    {
        var host = address?.Host ?? "127.0.0.1";
        var port = address?.Port ?? DefaultPort;
        return host == "localhost" ? new IPEndPoint(IPAddress.Loopback, port)
            : IPAddress.TryParse(host, out var ip) ? new IPEndPoint(ip, port)
            : throw new CommandException(ExitCode.Usage, $"--http is '{host}:{port}'; the host must be an IP address or localhost.");
    }

    private sealed class Options
    {
        public Option<string> Model { get; } = new("--model")
        {
            Description = "Folder with config.json, *.safetensors and tokenizer.json.",
            HelpName = "folder",
            Required = true,
        };

        public Option<WorkerRole> Role { get; } = new("--role")
        {
            Description = "both answers and computes prompts for others; prefill is asked by decode workers; decode asks them. The last two need a node. Default: both.",
            DefaultValueFactory = _ => WorkerRole.Both,
        };

        public Option<string> Node { get; } = new("--node")
        {
            Description = "Native door of the node: tcp://host:port, host:port or unix:/path. Default: none, only what the worker itself has computed.",
            HelpName = "address",
        };

        public TokenOption Token { get; } = CliOption.Token();

        public Option<ListenAddress?> Http { get; } = CliOption.Listen("--http", $"Where it answers. Default: 127.0.0.1:{DefaultPort}.", canBeOff: false);

        public Option<string> TokenFile { get; } = new("--token-file")
        {
            Description = "Tokens of callers, a file as nodes have; those with the rights read and write may call. Default: everybody may.",
            HelpName = "file",
        };

        public Option<bool> Insecure { get; } = new("--insecure") { Description = "Allow an address that other machines reach without tokens." };

        public Option<string> Name { get; } = new("--name") { Description = "Name of the model, for callers and in keys of blocks. Default: that of the folder.", HelpName = "name" };

        public Option<string> Revision { get; } = new("--revision")
        {
            Description = "Revision of the weights in keys of blocks. Default: a hash of the files, which are read whole for it.",
            HelpName = "text",
        };

        public Option<Uri[]> Prefill { get; } = new("--prefill")
        {
            Description = "HTTP addresses of prefill workers that compute long prompts.",
            HelpName = "url",
            AllowMultipleArgumentsPerToken = true,
            CustomParser = CliOption.ParseAddresses,
        };

        public Option<string> PrefillToken { get; } = new("--prefill-token")
        {
            Description = "Token for prefill workers that have a --token-file. Without it none is sent.",
            HelpName = "token",
        };

        public SizeOption Cache { get; } = CliOption.Size("--cache", "Memory for blocks of running and earlier requests. Default: 1 GiB.", 1 << 20, 1L << 50, 1L << 30);

        public Option<int> BlockTokens { get; } = CliOption.Number("--block-tokens", "Tokens of a block; the same for all that share blocks.", 1, 512, 16);

        public Option<int> Threads { get; } = CliOption.Number("--threads", "Threads that compute; 0: one for each processor.", 0, 1024, 0);

        public Option<int> MaxRunning { get; } = CliOption.Number("--max-running", "Most requests that are computed at a time.", 1, 4096, 32);

        public Option<int> MaxWaiting { get; } = CliOption.Number("--max-waiting", "Most requests that wait; further ones get 429.", 0, 65_536, 256);

        public Option<int> Parts { get; } = CliOption.Number("--parts", "Groups of heads that a block is stored in; the same for all that share blocks.", 1, 1024, 1);

        public Option<int> Shards { get; } = CliOption.Number("--shards", "Writers that share the parts; divides --parts.", 1, 64, 1);

        public Option<bool> FetchAll { get; } = new("--fetch-all") { Description = "Fetch every block that the mesh has, also where computing it would be sooner." };

        public Option<int> HandOvers { get; } = CliOption.Number(
            "--hand-overs", "Most blocks of its memory that it hands over to its node at a time; 0: the node is not told of them.", 0, 64, 2);

        public Option<bool> Json { get; } = new(CliOption.JsonName) { Description = "Once serving, print one JSON object with the address on standard output." };

        public IEnumerable<Option> All =>
            [Model, Role, Node, Token, Http, TokenFile, Insecure, Name, Revision, Prefill, PrefillToken, Cache, BlockTokens, Threads, MaxRunning, MaxWaiting, Parts, Shards, FetchAll, HandOvers, Json];
    }
}

/// <summary>Where a worker answers, and what it computes with.</summary>
/// <param name="Node">Null: it has none.</param>
internal sealed record WorkerReport(int ProcessId, string Http, string Model, string Revision, string? Node);
