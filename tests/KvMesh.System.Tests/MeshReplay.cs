using System.Globalization;
using System.Text;
using System.Text.Json;
using KvMesh.TestKit;

namespace KvMesh.System.Tests;

/// <summary><c>kvmesh replay --endpoints</c> as a process, and what it printed.</summary>
internal static class MeshReplay
{
    public static TimeSpan Limit { get; } = TimeSpan.FromMinutes(4);

    public static string Endpoints(string via, params NodeProcess[] nodes) =>
        string.Join(',', nodes.Select(node => via == "resp" ? node.Addresses.Resp : node.Addresses.NativeEndpoint));

    public static string[] Arguments(SessionTrace trace, string via, int seed, string endpoints, params string[] further) =>
        ["replay", trace.Path, "--via", via, "--endpoints", endpoints, "--block-bytes", "16KiB", "--seed", seed.ToString(CultureInfo.InvariantCulture), "--json", .. further];

    public static async Task<(int ExitCode, JsonElement Report, string Error)> RunAsync(
        SessionTrace trace, string via, int seed, string endpoints, params string[] further)
    {
        var (exitCode, output, error) = await NodeProcess.RunToEndAsync(Limit, Arguments(trace, via, seed, endpoints, further));
        Assert.True(output.StartsWith('{'), $"exit code {exitCode}: {error}");
        return (exitCode, JsonDocument.Parse(output).RootElement, error);
    }
}

/// <summary>
/// A trace of sessions that take turns, in the format of the recorded ones; each turn has two blocks more than the one before, and a partial
/// one at its end.
/// </summary>
internal sealed class SessionTrace : IDisposable
{
    private readonly TemporaryDirectory _folder = new();

    public SessionTrace(int sessions, int rounds, int stepMs)
    {
        Path = global::System.IO.Path.Combine(_folder.Path, "trace.jsonl");
        var text = new StringBuilder();
        for (var i = 0; i < sessions * rounds; i++)
        {
            var (session, turn) = (i % sessions, (i / sessions) + 1);
            var blocks = Enumerable.Range(session * 1000, 2 * turn).Append((session * 1000) + 900 + turn);
            text.AppendLine(CultureInfo.InvariantCulture, $$"""{"timestamp": {{i * stepMs}}, "input_length": {{(2 * turn * 512) + 100}}, "output_length": 5, "hash_ids": [{{string.Join(", ", blocks)}}]}""");
        }

        File.WriteAllText(Path, text.ToString());
    }

    public string Path { get; }

    public void Dispose() => _folder.Dispose();
}
