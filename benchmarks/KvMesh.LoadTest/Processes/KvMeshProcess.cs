using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using KvMesh.Client.Admin;

namespace KvMesh.LoadTest.Processes;

/// <summary>How a node is started for a measurement.</summary>
internal sealed record KvMeshSettings
{
    public required string DataDirectory { get; init; }

    public required long ArenaBytes { get; init; }

    public long DiskBytes { get; init; }

    /// <summary>Bytes per second of the scrubber; 0 keeps it out of the figures.</summary>
    public long ScrubBytesPerSecond { get; init; }

    /// <summary>Congestion control of the node's sockets; empty: the system's.</summary>
    public string CongestionControl { get; init; } = "";

    public int MaxBlocks { get; init; } = 1 << 21;

    /// <summary>Redis where the node meets others, host:port; empty: it is alone.</summary>
    public string MeshRedis { get; init; } = "";

    /// <summary>Name of the node in its cluster.</summary>
    public string MeshNode { get; init; } = "";

    /// <summary>Longest existence lease; zero: the node's default.</summary>
    public TimeSpan MaxLease { get; init; }

    /// <summary>What the bytes of models mean, as <c>layouts.json</c> says it; empty: only what is built in.</summary>
    public string Layouts { get; init; } = "";

    /// <summary>Codecs of blocks in RAM.</summary>
    public string HostCodecs { get; init; } = "raw";

    /// <summary>Codecs of blocks on disk.</summary>
    public string DiskCodecs { get; init; } = "raw";

    /// <summary>Whether clients on this machine may share its memory; without, all bytes go over sockets.</summary>
    public bool Unix { get; init; } = true;

    /// <summary>Processors that encoding may take, in RAM and, up to one, for the disk.</summary>
    public double EncodeShare { get; init; } = 0.5;

    /// <summary>In which order blocks leave RAM; null: as any node has it.</summary>
    public string? Retention { get; init; }
}

/// <summary>A real node: <c>dotnet kvmesh.dll serve</c>.</summary>
internal sealed class KvMeshProcess : ServerProcess
{
    private static readonly TimeSpan BackingLimit = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan BackingPoll = TimeSpan.FromMilliseconds(100);

    private JsonElement _report;

    private KvMeshProcess(IEnumerable<string> arguments)
        : base("kvmesh", "dotnet", arguments)
    {
    }

    public string UnixSocket { get; private set; } = "";

    public int NativePort { get; private set; }

    public int RespPort => PortOf(_report, "resp");

    public Uri Http { get; private set; } = new("http://127.0.0.1/");

    /// <summary>Starts a node on free ports and returns when it says that it serves.</summary>
    public static KvMeshProcess Start(KvMeshSettings settings)
    {
        var config = Path.Combine(settings.DataDirectory, "loadtest.json");
        File.WriteAllText(config, Configuration(settings));
        if (settings.Layouts.Length > 0)
        {
            File.WriteAllText(Path.Combine(settings.DataDirectory, "layouts.json"), settings.Layouts);
        }

        var node = new KvMeshProcess(
        [
            Program(), "serve", "--data-dir", settings.DataDirectory, "--config", config,
            "--http", "127.0.0.1:0", "--native", "127.0.0.1:0", "--resp", "127.0.0.1:0",
            "--arena", settings.ArenaBytes.ToString(CultureInfo.InvariantCulture),
            "--json",
        ]);
        try
        {
            node.ReadEndpoints();
        }
        catch
        {
            node.Dispose();
            throw;
        }

        return node;
    }

    /// <summary>
    /// Returns when all of the arena has memory behind it. Meanwhile the node spends most of a core on that, and a figure taken then is one of the start.
    /// </summary>
    public void AwaitBackedArena()
    {
        var started = Stopwatch.GetTimestamp();
        using var admin = new AdminClient(Http, null);
        while (admin.GetStatusAsync(CancellationToken.None).GetAwaiter().GetResult().Arenas.Any(arena => arena.WarmBytes < arena.CapacityBytes))
        {
            ThrowIfStuck(started, "back its arena with memory", BackingLimit);
            Thread.Sleep(BackingPoll);
        }
    }

    /// <summary>The program as the Cli project builds it, else the copy beside this one.</summary>
    private static string Program()
    {
        var here = AppContext.BaseDirectory.TrimEnd('/');
        var built = Path.Combine(here, "..", "..", "KvMesh.Cli", Path.GetFileName(here), "kvmesh.dll");
        return File.Exists(built) ? Path.GetFullPath(built) : Path.Combine(here, "kvmesh.dll");
    }

    private static string Configuration(KvMeshSettings settings)
    {
        var engine = new Dictionary<string, object>
        {
            ["ScrubBytesPerSecond"] = settings.ScrubBytesPerSecond,
            ["MaxBlocks"] = settings.MaxBlocks,
            ["HostCoding"] = new Dictionary<string, object> { ["EncodeShare"] = settings.EncodeShare },
        };
        if (settings.DiskBytes > 0)
        {
            engine["Disk"] = new Dictionary<string, object> { ["CapacityBytes"] = settings.DiskBytes, ["EncodeShare"] = Math.Min(1, settings.EncodeShare) };
        }

        if (settings.Retention is { } retention)
        {
            engine["Retention"] = retention;
        }

        if (settings.MaxLease > TimeSpan.Zero)
        {
            engine["MaxExistenceLease"] = settings.MaxLease;
        }

        var root = new Dictionary<string, object>
        {
            ["Engine"] = engine,
            ["Unix"] = new Dictionary<string, object> { ["Enabled"] = settings.Unix },
            ["Codecs"] = new Dictionary<string, object> { ["Host"] = settings.HostCodecs, ["Disk"] = settings.DiskCodecs },
        };
        if (settings.CongestionControl.Length > 0)
        {
            root["Net"] = new Dictionary<string, object> { ["CongestionControl"] = settings.CongestionControl };
        }

        if (settings.MeshRedis.Length > 0)
        {
            root["Mesh"] = new Dictionary<string, object> { ["Redis"] = settings.MeshRedis, ["NodeId"] = settings.MeshNode };
        }

        return JsonSerializer.Serialize(root);
    }

    private void ReadEndpoints()
    {
        var started = Stopwatch.GetTimestamp();
        var text = new StringBuilder();
        while (true)
        {
            var line = Output.ReadLine();
            if (line is null)
            {
                throw new LoadTestException($"kvmesh serve ended before it served. {Errors()}");
            }

            ThrowIfStuck(started, "begin to serve");
            text.AppendLine(line);
            if (TryParse(text.ToString()) is { } report)
            {
                NativePort = PortOf(report, "native");
                _report = report;
                UnixSocket = report.TryGetProperty("unixSocket", out var unix) ? unix.GetString() ?? "" : "";
                Http = new Uri(report.GetProperty("http").GetString()!);
                DrainOutput();
                return;
            }
        }
    }

    private static JsonElement? TryParse(string text)
    {
        try
        {
            return JsonDocument.Parse(text).RootElement;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static int PortOf(JsonElement report, string door)
    {
        if (!report.TryGetProperty(door, out var property) || property.GetString() is not { } address)
        {
            throw new LoadTestException($"kvmesh serve does not serve {door}.");
        }

        return int.Parse(address[(address.LastIndexOf(':') + 1)..].TrimEnd('/'), CultureInfo.InvariantCulture);
    }
}
