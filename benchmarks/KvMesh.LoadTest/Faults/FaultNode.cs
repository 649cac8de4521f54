using System.Globalization;
using System.Net;
using KvMesh.LoadTest.Faults.Networks;
using KvMesh.TestKit;

namespace KvMesh.LoadTest.Faults;

/// <summary>A node as a process on ports of its own, which may be killed, stopped, started again and replaced while it serves.</summary>
internal sealed class FaultNode : IAsyncDisposable
{
    private readonly NodeFolders _folders = new();
    private readonly string[] _arguments;
    private ChildProcess? _process;

    /// <param name="redis">Where it meets the others; null: it is a node of its own.</param>
    /// <param name="environment">Further variables of the process.</param>
    /// <param name="arguments">Further options of serve.</param>
    public FaultNode(
        string name, string? redis, IReadOnlyDictionary<string, string>? environment = null, params string[] arguments)
        : this("127.0.0.1", name, redis, environment, arguments)
    {
    }

    private FaultNode(string host, string name, string? redis, IReadOnlyDictionary<string, string>? environment, string[] arguments)
    {
        foreach (var (variable, value) in environment ?? new Dictionary<string, string>())
        {
            _folders.Environment[variable] = value;
        }

        _folders.Environment["KVMESH_Mesh__NodeId"] = name;
        _folders.Environment["KVMESH_Mesh__RedisBlocks__Address"] = redis ?? "";
        _folders.Environment["KVMESH_Log__Level"] = "Information";
        _folders.Environment["KVMESH_Placement__Step"] = "500ms";
        _folders.Environment["KVMESH_Placement__DrainTimeout"] = "0s";

        // A machine that is busy with a mesh and all its clients may answer a call later than the shipped limit, which then costs five more of them.
        _folders.Environment["KVMESH_Placement__CallTimeout"] = "5s";
        var (http, native, resp) = (Free(host), Free(host), Free(host));
        string[] meeting = redis is null ? [] : ["--redis", redis];
        _arguments = ["serve", "--json", "--data-dir", _folders.Data, "--http", $"{http}", "--native", $"{native}", "--resp", $"{resp}", .. meeting, .. arguments];
        Target = new NodeTarget(name, native, resp, new Uri($"http://{http}/"));
    }

    /// <summary>A node of a mesh of its own network.</summary>
    /// <param name="redisPort">Where Redis listens.</param>
    public static FaultNode On(MeshNetwork network, string name, int redisPort)
    {
        var node = new FaultNode(network.HostOf(name), name, network.RedisFor(name, redisPort), null, ["--arena", "16MiB"]) { Program = network.ProgramOf(name) };
        foreach (var (option, value) in network.OptionsFor(name, node.Target.Native.Port))
        {
            node._folders.Environment[$"KVMESH_{option}"] = value;
        }

        return node;
    }

    public NodeTarget Target { get; }

    public string DataDirectory => _folders.Data;

    /// <summary>Runs the program that is given behind it. Empty: nothing does.</summary>
    public string[] Program { get; set; } = [];

    /// <summary>Versions of the native protocol that the next process speaks; empty: those of the program.</summary>
    public void Speak(string versions) => _folders.Environment["KVMESH_Mesh__Versions"] = versions;

    public bool IsRunning => _process is { HasExited: false };

    public int ProcessId => _process!.Id;

    /// <summary>What the process printed; for the reader of a failure.</summary>
    public string Describe() => _process?.Describe() ?? "it does not run";

    public async Task StartAsync()
    {
        _process = Begin([]);
        await ServesAsync(_process);
    }

    public async Task KillAsync()
    {
        Target.Health.Break();
        await _process!.DisposeAsync();
        _process = null;
    }

    /// <summary>Starts it again after <see cref="KillAsync"/>, on its folder and arena.</summary>
    public async Task RestartAsync()
    {
        await StartAsync();
        Target.Health.Mend();
    }

    /// <summary>Asks it to stop and waits until it has. It says goodbye to the others.</summary>
    public async Task EndAsync()
    {
        Target.Health.Break();
        await _process!.SignalAsync("TERM");
        var exitCode = await _process.WaitForExitAsync(Eventually.Patience);
        if (exitCode != 0)
        {
            throw new LoadTestException($"{Target.Name} was asked to stop and ended with code {exitCode}: {_process.Describe()}");
        }
    }

    public async Task StopAsync()
    {
        Target.Health.Break();
        await _process!.SignalAsync("STOP");
    }

    public async Task ContinueAsync()
    {
        await _process!.SignalAsync("CONT");
        Target.Health.Mend();
    }

    /// <summary>Replaces the process by another one, which takes listeners, connections and arena over. Nothing may be lost by that.</summary>
    public async Task TakeOverAsync()
    {
        var before = _process!;
        Target.ChangeGeneration();
        _process = Begin(["--take-over"]);
        await ServesAsync(_process);
        var exitCode = await before.WaitForExitAsync(Eventually.Patience);
        if (exitCode != 0)
        {
            throw new LoadTestException($"{Target.Name} was replaced and ended with code {exitCode}: {before.Describe()}");
        }

        await before.DisposeAsync();
    }

    /// <summary>The figure of a line of /metrics that begins so; 0 when there is none.</summary>
    public async Task<double> ReadMetricAsync(string metric)
    {
        using var http = new HttpClient { Timeout = Eventually.Patience };
        var text = await http.GetStringAsync(new Uri(Target.Http, "metrics"));
        var line = text.Split('\n').FirstOrDefault(each => each.StartsWith(metric + " ", StringComparison.Ordinal));
        return line is null ? 0 : double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture);
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
        {
            await _process.DisposeAsync();
        }

        _folders.Dispose();
    }

    private static IPEndPoint Free(string host) => new(IPAddress.Parse(host), FreePort.Next());

    private static Task<string> ServesAsync(ChildProcess process) =>
        process.WaitForLineAsync(line => line.StartsWith('{'), "the line with the addresses", Eventually.Patience);

    private ChildProcess Begin(string[] further)
    {
        string[] command = [.. Program, "dotnet", NodeProcess.Program, .. _arguments, .. further];
        return ChildProcess.Start(command[0], command[1..], _folders.Environment);
    }
}
