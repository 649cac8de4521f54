using System.CommandLine;
using System.Globalization;
using System.Runtime.InteropServices;
using KvMesh.Cli.Output;
using KvMesh.Cli.Parsing;
using KvMesh.Server;
using KvMesh.Server.Options;

namespace KvMesh.Cli.Commands;

/// <summary><c>kvmesh serve</c>: one node until a signal ends it.</summary>
internal static class ServeCommand
{
    private const long MaxBytes = 1L << 50;

    public static Command Create(Terminal terminal)
    {
        var options = new Options();
        var command = new Command("serve", "Run a node: keep KV blocks and serve them over the native protocol, shared memory, RESP and HTTP.");
        foreach (var option in options.All)
        {
            command.Add(option);
        }

        command.SetAction((parse, cancellationToken) => RunAsync(parse, options, terminal, cancellationToken));
        return command.WithExamples(
            "kvmesh serve                                       loopback only, dashboard at http://127.0.0.1:8600",
            "kvmesh serve --arena 64GiB --disk 1TiB             RAM and disk for blocks",
            "kvmesh serve --resp 0.0.0.0:8602 --config node.json   reachable for LMCache fleets; node.json names the token file",
            "kvmesh serve --redis redis-1:6379                  one of several nodes that are one cache",
            "kvmesh serve --take-over                           replace the running node without closing RESP connections",
            "SIGHUP (systemctl reload) does the same with the program and options as they are on disk.",
            "Stop it with Ctrl-C or SIGTERM: RAM blocks are saved. A second signal ends it at once.");
    }

    private static async Task<int> RunAsync(ParseResult parse, Options options, Terminal terminal, CancellationToken cancellationToken)
    {
        var configuration = NodeOptionsReader.Read(parse.GetValue(options.Config), CliEnvironment.ForNode(), Overrides(parse, options));
        var surroundings = new NodeSurroundings { TakeOver = parse.GetValue(options.TakeOver) };
        await using var node = await KvMeshNode.StartAsync(configuration, surroundings, cancellationToken);

        // Before anybody is told that the node serves: without a handler the signal ends the process.
        using var onReload = PosixSignalRegistration.Create(PosixSignal.SIGHUP, signal =>
        {
            signal.Cancel = true;
            StartSuccessor(terminal);
        });
        Announce(parse.GetValue(options.Json), node.Endpoints, configuration.Options, terminal);
        var stop = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var onSignal = cancellationToken.Register(() => stop.TrySetResult());
        if (parse.GetValue(options.UntilStdinEnds))
        {
            _ = Console.OpenStandardInput().CopyToAsync(Stream.Null, CancellationToken.None).ContinueWith(_ => stop.TrySetResult(), TaskScheduler.Default);
        }

        await Task.WhenAny(stop.Task, node.Ended);
        await terminal.Error.WriteLineAsync(
            node.Ended.IsCompleted ? "kvmesh: another process took over" : "kvmesh: stopping; a second signal ends the process at once");
        await node.StopAsync(CancellationToken.None);
        return (int)ExitCode.Success;
    }

    /// <summary>SIGHUP, as systemd sends it for a reload: the program on disk takes over, with the configuration as it is now.</summary>
    private static void StartSuccessor(Terminal terminal)
    {
        try
        {
            Successor.Start();
        }
        catch (InvalidOperationException exception)
        {
            terminal.Error.WriteLine($"kvmesh: {exception.Message}");
        }
    }

    private static void Announce(bool json, NodeEndpoints endpoints, NodeOptions options, Terminal terminal)
    {
        if (json)
        {
            terminal.WriteJson(
                new ServeReport(
                    Environment.ProcessId, endpoints.Http.ToString(), endpoints.Native?.ToString(), endpoints.Resp?.ToString(), endpoints.UnixSocket,
                    options.DataDirectory),
                CliJson.Default.ServeReport);
            return;
        }

        var dashboard = options.Console ? "dashboard, API, metrics" : "API, metrics";
        terminal.Error.WriteLine("kvmesh: serving");
        terminal.Error.WriteLine($"  http    {endpoints.Http} ({dashboard})");
        WriteDoor("native", endpoints.Native?.ToString());
        WriteDoor("resp", endpoints.Resp?.ToString());
        WriteDoor("unix", endpoints.UnixSocket);
        terminal.Error.WriteLine($"  data    {options.DataDirectory}");

        void WriteDoor(string name, string? address) => terminal.Error.WriteLine($"  {name,-7} {address ?? "off"}");
    }

    /// <summary>What the command line says, under the names of the configuration.</summary>
    private static Dictionary<string, string> Overrides(ParseResult parse, Options options)
    {
        var overrides = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        if (parse.GetValue(options.DataDirectory) is { } folder)
        {
            overrides["DataDirectory"] = Path.GetFullPath(folder);
        }

        Listen("Http", parse.GetValue(options.Http));
        Listen("Native", parse.GetValue(options.Native));
        Listen("Resp", parse.GetValue(options.Resp));
        Text("Mesh:Redis", options.Redis);
        Text("Mesh:Control", options.Control);
        Bytes("Engine:ArenaBytes", options.Arena);
        Bytes("Engine:Disk:CapacityBytes", options.Disk);
        if (parse.GetValue(options.NoConsole))
        {
            overrides["Console"] = "false";
        }

        if (parse.GetValue(options.Insecure))
        {
            overrides["Insecure"] = "true";
        }

        return overrides;

        void Listen(string section, ListenAddress? address)
        {
            if (address is { IsOff: true })
            {
                overrides[$"{section}:Enabled"] = "false";
                return;
            }

            if (address is not null)
            {
                overrides[$"{section}:Port"] = address.Port.ToString(CultureInfo.InvariantCulture);
                if (address.Host is not null)
                {
                    overrides[$"{section}:Address"] = address.Host;
                }
            }
        }

        void Text(string name, Option<string> option)
        {
            if (parse.GetValue(option) is { } text)
            {
                overrides[name] = text;
            }
        }

        void Bytes(string name, SizeOption option)
        {
            if (option.IsGiven(parse))
            {
                overrides[name] = option.Of(parse).ToString(CultureInfo.InvariantCulture);
            }
        }
    }

    private sealed class Options
    {
        public Option<string> DataDirectory { get; } = new("--data-dir")
        {
            Description = "Folder of the node's state. Default: kvmesh in $XDG_STATE_HOME or ~/.local/state. One node per folder.",
            HelpName = "folder",
        };

        public Option<ListenAddress?> Http { get; } = CliOption.Listen("--http", "Dashboard, API and metrics. Default: 127.0.0.1:8600.", canBeOff: false);

        public Option<ListenAddress?> Native { get; } = CliOption.Listen("--native", "Native protocol. Default: 127.0.0.1:8601.");

        public Option<ListenAddress?> Resp { get; } = CliOption.Listen("--resp", "Redis protocol, for LMCache. Default: 127.0.0.1:8602.");

        public SizeOption Arena { get; } = CliOption.Size("--arena", "RAM for blocks. Default: a quarter of the machine's.", 1 << 20, MaxBytes, 0);

        public SizeOption Disk { get; } = CliOption.Size("--disk", "Disk for blocks, in the data folder. Default: none.", 0, MaxBytes, 0);

        public Option<string> Redis { get; } = new("--redis")
        {
            Description = "Redis where the nodes of a cluster meet: they are one cache. Default: a node on its own.",
            HelpName = "host:port",
        };

        public Option<string> Control { get; } = new("--control")
        {
            Description = "Host of the shared state: embedded, redis, or orleans in a program that was built with it. Default: redis when --redis is given, else embedded.",
            HelpName = "host",
        };

        public Option<bool> UntilStdinEnds { get; } = new("--until-stdin-ends")
        {
            Description = "Stop when standard input ends, as for a signal: the node then never outlives who started it.",
            Hidden = true,
        };

        public Option<bool> NoConsole { get; } = new("--no-console") { Description = "Serve no dashboard; 'kvmesh console' can serve it elsewhere." };

        public Option<bool> Insecure { get; } = new("--insecure")
        {
            Description = "Allow addresses that other machines reach without a token. Whoever reaches them owns the cache.",
        };

        public Option<string> Config { get; } = new("--config")
        {
            Description = "Configuration file. Default: kvmesh.json in the data folder, if there is one.",
            HelpName = "file",
        };

        public Option<bool> TakeOver { get; } = new("--take-over")
        {
            Description = "Replace the node that runs on the folder: listeners, RESP connections, arena and leases are handed over.",
        };

        public Option<bool> Json { get; } = new("--json")
        {
            Description = "Once serving, print one JSON object with the addresses on standard output.",
        };

        public IEnumerable<Option> All => [DataDirectory, Http, Native, Resp, Arena, Disk, Redis, Control, UntilStdinEnds, NoConsole, Insecure, Config, TakeOver, Json];
    }
}

/// <summary>Where a node serves; null where a door is off.</summary>
internal sealed record ServeReport(int ProcessId, string Http, string? Native, string? Resp, string? UnixSocket, string DataDirectory);
