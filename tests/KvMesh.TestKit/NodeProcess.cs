using System.Globalization;
using System.Text.Json;

namespace KvMesh.TestKit;

/// <summary>
/// <c>kvmesh serve</c> as a process of its own, on free loopback ports. State and arena lie in folders of the test, so that a
/// killed node leaves nothing behind. The test project must reference KvMesh.Cli, which puts the program beside the tests.
/// </summary>
public sealed class NodeProcess : IAsyncDisposable
{
    private NodeProcess(ChildProcess process, NodeAddresses addresses)
    {
        Process = process;
        Addresses = addresses;
    }

    /// <summary>Path of the program.</summary>
    public static string Program => Path.Combine(AppContext.BaseDirectory, "kvmesh.dll");

    public ChildProcess Process { get; }

    public NodeAddresses Addresses { get; }

    /// <summary>Starts <c>kvmesh</c> with any arguments.</summary>
    public static ChildProcess Run(IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null) =>
        Run(["dotnet"], arguments, environment);

    /// <summary>Runs <c>kvmesh</c> to its end.</summary>
    public static Task<(int ExitCode, string Output, string Error)> RunToEndAsync(TimeSpan limit, params string[] arguments) =>
        ChildProcess.RunAsync("dotnet", [Program, .. arguments], limit);

    /// <summary>Starts a node and waits until it serves.</summary>
    /// <param name="folders">Where its state and its arena lie.</param>
    /// <param name="arguments">Options of <c>serve</c> besides folder and ports.</param>
    public static async Task<NodeProcess> StartAsync(NodeFolders folders, params string[] arguments)
    {
        var process = Begin(folders, arguments);
        try
        {
            return new NodeProcess(process, await ReadAddressesAsync(process, predecessorId: 0));
        }
        catch
        {
            await process.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts a node that may refuse to start.</summary>
    public static ChildProcess Begin(NodeFolders folders, params string[] arguments)
    {
        string[] doors = arguments.Contains("--take-over") ? [] : ["--http", "--native", "--resp"];
        var ports = doors.Except(arguments).SelectMany(door => new[] { door, "127.0.0.1:0" });
        return Run(folders.Launcher, ["serve", "--json", "--data-dir", folders.Data, .. ports, .. arguments], folders.Environment);
    }

    /// <summary>Waits for the process that took over from this one by a reload; it is the caller's to end.</summary>
    public Task<NodeAddresses> ReadSuccessorAsync() => ReadAddressesAsync(Process, Addresses.ProcessId);

    /// <summary>Asks it to stop and waits until it has.</summary>
    public async Task<int> StopAsync()
    {
        await Process.SignalAsync("TERM");
        return await Process.WaitForExitAsync(Eventually.Patience);
    }

    public ValueTask DisposeAsync() => Process.DisposeAsync();

    private static ChildProcess Run(IReadOnlyList<string> launcher, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment) =>
        ChildProcess.Start(launcher[0], [.. launcher.Skip(1), Program, .. arguments], environment);

    private static async Task<NodeAddresses> ReadAddressesAsync(ChildProcess process, int predecessorId)
    {
        var line = await process.WaitForLineAsync(
            text => text.StartsWith("{\"processId\":", StringComparison.Ordinal) && !text.Contains($"\"processId\":{predecessorId},", StringComparison.Ordinal), "the line with the addresses", Eventually.Patience);
        return JsonSerializer.Deserialize<NodeAddresses>(line, JsonSerializerOptions.Web)
            ?? throw new InvalidOperationException($"'{line}' has no addresses.");
    }
}

/// <summary>Where a node serves, as <c>serve --json</c> prints it.</summary>
public sealed record NodeAddresses(int ProcessId, Uri Http, string Native, string Resp, string UnixSocket, string DataDirectory)
{
    public int RespPort => int.Parse(Resp[(Resp.LastIndexOf(':') + 1)..], null);

    /// <summary>Endpoint of the native door for a client.</summary>
    public string NativeEndpoint => $"tcp://{Native}";

    public string UnixEndpoint => $"unix:{UnixSocket}";
}

/// <summary>Folders of a node that outlive its processes and go with the test.</summary>
public sealed class NodeFolders : IDisposable
{
    private readonly TemporaryDirectory _data = new();
    private readonly string _arena = Path.Combine("/dev/shm", $"kvmesh-test-{Guid.NewGuid():n}");

    public NodeFolders()
    {
        Directory.CreateDirectory(_arena);
        Environment = new Dictionary<string, string> { ["KVMESH_Engine__ArenaDirectory"] = _arena };
    }

    public string Data => _data.Path;

    /// <summary>What starts the program: a command and its first arguments, which ends in the runtime's host.</summary>
    public IReadOnlyList<string> Launcher { get; set; } = ["dotnet"];

    /// <summary>Variables of the node; tests may add options of their own.</summary>
    public Dictionary<string, string> Environment { get; }

    /// <summary>
    /// Makes the node one of a mesh. A busy machine may keep a living node from its heartbeat, a peer from its answer or a block from its reader for
    /// longer than operators want to wait: with these options none of that is taken for a loss.
    /// </summary>
    public void JoinMesh(int redisPort, string id)
    {
        (string Name, string Value)[] options =
        [
            ("Mesh__Redis", string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{redisPort}")),
            ("Mesh__NodeId", id),
            ("Mesh__FailureTime", "12s"),
            ("Mesh__Peers__ConnectTimeout", "30s"),
            ("Placement__CallTimeout", "20s"),
        ];
        foreach (var (name, value) in options)
        {
            Environment[$"KVMESH_{name}"] = value;
        }

        WaitForBlocks("30s");
    }

    /// <summary>How long a read may wait for a block that is elsewhere.</summary>
    public void WaitForBlocks(string limit) =>
        Environment["KVMESH_Engine__FarTiers__ShortestDeadline"] = Environment["KVMESH_Engine__FarTiers__LongestDeadline"] = limit;

    public void Dispose()
    {
        TemporaryDirectory.Remove(_arena);
        _data.Dispose();
    }
}
