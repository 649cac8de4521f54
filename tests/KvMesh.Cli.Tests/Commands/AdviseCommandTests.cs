using System.Net;
using System.Text.Json;
using KvMesh.Protocol.Admin;
using KvMesh.Server.Tests;
using KvMesh.TestKit;

namespace KvMesh.Cli.Tests.Commands;

/// <summary><c>kvmesh advise</c> and its endpoint, on a node whose RAM is a fraction of what is asked of it.</summary>
public sealed class AdviseCommandTests : IAsyncLifetime
{
    private const int ValueBytes = 64 * 1024;
    private const int Values = 64;
    private TestNode _node = null!;

    public async Task InitializeAsync() => _node = await TestNode.StartAsync(options =>
    {
        options.Engine.ArenaBytes = 2 << 20;
        options.Engine.Disk.CapacityBytes = 0;
    });

    public async Task DisposeAsync() => await _node.DisposeAsync();

    [Fact]
    public async Task More_memory_and_a_codec_are_told_to_answer_what_this_node_forgets()
    {
        Assert.Contains("Nothing was asked", (await AskAsync("advise")).Out, StringComparison.Ordinal);
        using var directory = new TemporaryDirectory();
        var file = Path.Combine(directory.Path, "value");
        await File.WriteAllBytesAsync(file, TestBytes.Payload(1, ValueBytes));
        for (var value = 0; value < Values; value++)
        {
            Assert.Equal(0, (await KeyAsync("put", $"value:{value}", file)).ExitCode);
        }

        // Twice as many bytes as fit, in turn: an LRU cache of this size finds none of them, and one of all of them finds all.
        for (var value = 0; value < Values; value++)
        {
            await KeyAsync("get", $"value:{value}", "--output", Path.Combine(directory.Path, "read"));
        }

        var advice = JsonSerializer.Deserialize((await AskAsync("advise", "--ram", "8MiB", "--json")).Out, AdminJson.Default.AdviceStatus)!;
        Assert.Equal((2L << 20, 0L, 8L << 20, 1.0), (advice.HostBytes, advice.DiskBytes, advice.MoreHostBytes, advice.CodecRatio));
        Assert.InRange(advice.All.Touches, Values / 2, 2 * Values);
        Assert.Equal(1, advice.All.HostThen, precision: 6);
        Assert.InRange(advice.All.HostNow, 0, 0.1);

        var coded = JsonSerializer.Deserialize((await AskAsync("advise", "--codec", "4", "--json")).Out, AdminJson.Default.AdviceStatus)!;
        Assert.Equal(1, coded.All.NodeThen, precision: 6);
        Assert.Contains("100.00 %", (await AskAsync("advise", "--ram", "8MiB")).Out, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("ram=-1", "ram")]
    [InlineData("disk=1e9", "disk")]
    [InlineData("codec=0.5", "codec")]
    [InlineData("codec=NaN", "codec")]
    [InlineData("codec=101", "codec")]
    public async Task What_it_cannot_be_asked_is_refused_with_field_value_and_limit(string query, string field)
    {
        using var response = await _node.Http.GetAsync($"{AdminRoutes.Advice}?{query}");

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        var error = JsonSerializer.Deserialize(await response.Content.ReadAsStringAsync(), AdminJson.Default.ErrorBody)!;
        Assert.Equal((field, query[(query.IndexOf('=', StringComparison.Ordinal) + 1)..]), (error.Field, error.Value));
        Assert.Contains("from", error.Limit, StringComparison.Ordinal);
    }

    private Task<CliRun> AskAsync(params string[] args) => PatientlyAsync([.. args, "--node", _node.Node.Endpoints.Http.ToString()]);

    private Task<CliRun> KeyAsync(params string[] args) => PatientlyAsync([.. args, "--endpoint", $"tcp://{_node.Node.Endpoints.Native}"]);

    /// <summary>People do not wait for a node as long as a busy machine may need.</summary>
    private static async Task<CliRun> PatientlyAsync(string[] args)
    {
        var run = default(CliRun)!;
        await Eventually.Holds(async () => (run = await CliRun.Of(args)).ExitCode is 0 or 4, () => $"an answer to {string.Join(' ', args)}; the last said {run?.Error}");
        return run;
    }
}
