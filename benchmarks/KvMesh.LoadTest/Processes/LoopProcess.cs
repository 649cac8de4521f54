using System.Globalization;

namespace KvMesh.LoadTest.Processes;

/// <summary>This program again, as the bare socket loop that servers are compared with (<see cref="Verbs.LoopServer"/>).</summary>
internal sealed class LoopProcess : ServerProcess
{
    private LoopProcess(IEnumerable<string> arguments)
        : base("bare loop", "dotnet", arguments)
    {
    }

    /// <summary>Text of the endpoint that it listens on.</summary>
    public string Endpoint { get; private set; } = "";

    /// <param name="unixPath">Path of a Unix socket; null: TCP on a free port.</param>
    /// <param name="congestionControl">As the node it is compared with.</param>
    public static LoopProcess Start(string? unixPath, string congestionControl)
    {
        var endpoint = unixPath ?? $"127.0.0.1:{FreePort().ToString(CultureInfo.InvariantCulture)}";
        var loop = new LoopProcess([typeof(LoopProcess).Assembly.Location, "loop-server", endpoint, "--congestion-control", congestionControl]);
        if (loop.Output.ReadLine() is null)
        {
            var errors = loop.Errors();
            loop.Dispose();
            throw new LoadTestException($"The bare loop did not start. {errors}");
        }

        loop.Endpoint = endpoint;
        loop.DrainOutput();
        return loop;
    }
}
