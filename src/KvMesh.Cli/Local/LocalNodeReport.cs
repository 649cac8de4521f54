using System.Text.Json;
using KvMesh.Cli.Output;

namespace KvMesh.Cli.Local;

/// <summary>Where one node of a local mesh serves.</summary>
internal sealed record LocalNodeReport(string Id, int ProcessId, string Http, string? Native, string? Resp, string? UnixSocket, string DataDirectory)
{
    /// <summary>Reads the line of <c>serve --json</c>.</summary>
    /// <exception cref="CommandException">It tells of a failure.</exception>
    public static LocalNodeReport Parse(string id, string line)
    {
        if (JsonSerializer.Deserialize(line, CliJson.Default.ErrorReport) is { Error: { } problem })
        {
            throw new CommandException(ExitCode.Failure, $"{id} did not start: {problem}");
        }

        var report = JsonSerializer.Deserialize(line, CliJson.Default.ServeReport)!;
        return new LocalNodeReport(id, report.ProcessId, report.Http, report.Native, report.Resp, report.UnixSocket, report.DataDirectory);
    }
}
