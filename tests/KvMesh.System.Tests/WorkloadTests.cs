using System.Globalization;
using System.Text;
using System.Text.Json;
using KvMesh.TestKit;

namespace KvMesh.System.Tests;

[Trait("Category", "System")]
public sealed class WorkloadTests : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(3);
    private readonly TemporaryDirectory _files = new();

    public void Dispose() => _files.Dispose();

    [Fact]
    public async Task The_demo_ends_with_every_byte_right_on_three_doors()
    {
        var run = await NodeProcess.RunToEndAsync(Limit, "demo", "--exit", "--json", "--requests", "150", "--block-bytes", "64KiB", "--arena", "64MiB");

        Assert.True(run.ExitCode == 0, $"exit code {run.ExitCode}: {run.Error}");
        var report = JsonDocument.Parse(run.Output).RootElement;
        Assert.Equal(0, report.GetProperty("mismatchedBytes").GetInt64());
        Assert.Equal(0, report.GetProperty("errors").GetInt64());
        Assert.Equal(150, report.GetProperty("requests").GetInt64());
        foreach (var door in report.GetProperty("doors").EnumerateObject())
        {
            Assert.True(door.Value.GetProperty("hitRatio").GetDouble() > 0.3, $"{door.Name} hit only {door.Value.GetProperty("hitRatio")}");
        }
    }

    [Fact]
    public async Task The_demo_prints_plain_lines_without_a_terminal()
    {
        var run = await NodeProcess.RunToEndAsync(Limit, "demo", "--exit", "--requests", "60", "--block-bytes", "64KiB", "--arena", "64MiB");

        Assert.True(run.ExitCode == 0, $"exit code {run.ExitCode}: {run.Error}");
        Assert.Contains("dashboard at http://127.0.0.1:", run.Output, StringComparison.Ordinal);
        Assert.Contains("hit ratio", run.Output, StringComparison.Ordinal);
        Assert.DoesNotContain('\u001b', run.Output);
    }

    [Theory]
    [InlineData("native")]
    [InlineData("shm")]
    [InlineData("resp")]
    public async Task A_replay_checks_every_byte_through_every_door(string via)
    {
        var trace = WriteTrace(requests: 120);

        var run = await NodeProcess.RunToEndAsync(
            Limit, "replay", trace, "--via", via, "--block-bytes", "16KiB", "--capacity-blocks", "1500", "--clients", "2", "--json");

        Assert.True(run.ExitCode == 0, $"exit code {run.ExitCode}: {run.Error}");
        var report = JsonDocument.Parse(run.Output).RootElement;
        string[] expected = ["requests", "blocks", "hitBlocks", "hitRatio", "mismatchedBytes", "errors", "bytesSaved", "gbPerSecond"];
        Assert.Equal(expected, report.EnumerateObject().Select(property => property.Name).Take(expected.Length));
        Assert.Equal(120, report.GetProperty("requests").GetInt64());
        Assert.Equal(0, report.GetProperty("mismatchedBytes").GetInt64());
        Assert.Equal(report.GetProperty("hitBlocks").GetInt64() * 16384, report.GetProperty("bytesSaved").GetInt64());
        Assert.True(report.GetProperty("hitRatio").GetDouble() > 0.2, $"hit ratio {report.GetProperty("hitRatio")}");
    }

    [Fact]
    public async Task A_second_replay_on_a_running_node_hits_every_full_block()
    {
        using var folders = new NodeFolders();
        await using var node = await NodeProcess.StartAsync(folders, "--arena", "256MiB");
        var trace = WriteTrace(requests: 60);
        string[] arguments = ["replay", trace, "--block-bytes", "16KiB", "--json", "--endpoint", node.Addresses.NativeEndpoint];

        await NodeProcess.RunToEndAsync(Limit, arguments);
        var second = await NodeProcess.RunToEndAsync(Limit, arguments);

        var report = JsonDocument.Parse(second.Output).RootElement;
        Assert.Equal(0, report.GetProperty("storedBlocks").GetInt64());
        Assert.Equal(0, second.ExitCode);
    }

    [Theory]
    [InlineData("native")]
    [InlineData("shm")]
    [InlineData("resp")]
    public async Task The_benchmark_measures_all_three_operations(string via)
    {
        var run = await NodeProcess.RunToEndAsync(
            Limit, "bench", "--via", via, "--blocks", "32", "--block-bytes", "64KiB", "--seconds", "0.3", "--arena", "64MiB", "--json");

        Assert.True(run.ExitCode == 0, $"exit code {run.ExitCode}: {run.Error}");
        var results = JsonDocument.Parse(run.Output).RootElement.GetProperty("results");
        Assert.Equal(["put", "get", "match"], results.EnumerateArray().Select(result => result.GetProperty("operation").GetString()));
        Assert.All(results.EnumerateArray(), result => Assert.True(result.GetProperty("operations").GetInt64() > 0));
    }

    /// <summary>Sessions of growing prompts with a shared first block, in the format of the recorded traces.</summary>
    private string WriteTrace(int requests)
    {
        var random = new Random(11);
        var sessions = Enumerable.Range(0, 12).Select(session => new List<int> { 0, session + 1 }).ToArray();
        var next = 100;
        var text = new StringBuilder();
        for (var i = 0; i < requests; i++)
        {
            var session = sessions[random.Next(sessions.Length)];
            session.AddRange(Enumerable.Range(next, random.Next(1, 5)));
            next += 10;
            var inputLength = (session.Count * 512) + random.Next(1, 512);
            text.AppendLine(CultureInfo.InvariantCulture, $$"""{"timestamp": {{i * 10}}, "input_length": {{inputLength}}, "output_length": 5, "hash_ids": [{{string.Join(", ", session)}}, {{next++}}]}""");
        }

        var path = Path.Combine(_files.Path, "trace.jsonl");
        File.WriteAllText(path, text.ToString());
        return path;
    }
}
