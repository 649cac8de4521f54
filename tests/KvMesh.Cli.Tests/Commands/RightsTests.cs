using System.Text.Json;
using KvMesh.Server.Tests;
using KvMesh.TestKit;

namespace KvMesh.Cli.Tests.Commands;

/// <summary>What commands say to a caller whom the node knows and does not allow, or does not know.</summary>
public sealed class RightsTests : IAsyncLifetime, IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private TestNode _node = null!;
    private string _file = "";

    public async Task InitializeAsync()
    {
        _node = await TestNode.StartAsync(tokens:
        [
            new TestToken("default", "reader", "read"), new TestToken("default", "writer", "write"), new TestToken("default", "all", "read", "write", "remove"),
        ]);
        _file = Path.Combine(_directory.Path, "value");
        await File.WriteAllTextAsync(_file, "value");
    }

    public async Task DisposeAsync() => await _node.DisposeAsync();

    public void Dispose() => _directory.Dispose();

    [Theory]
    [InlineData("rm x", "reader", "remove")]
    [InlineData("put x FILE", "reader", "write")]
    [InlineData("get x", "writer", "read")]
    public async Task The_right_that_is_missing_is_named(string command, string token, string right)
    {
        Assert.Equal(0, (await RunAsync("put x FILE", "all")).ExitCode);

        var run = await RunAsync(command, token);

        Assert.Equal(1, run.ExitCode);
        Assert.Contains($"the token lacks the right {right}", run.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("no value", run.Error, StringComparison.Ordinal);
        Assert.Equal(0, (await RunAsync("rm x", "all")).ExitCode);
    }

    [Theory]
    [InlineData("put x FILE --json")]
    [InlineData("bench --via native --json")]
    public async Task A_token_that_is_not_known_is_no_node_that_does_not_answer(string command)
    {
        var run = await RunAsync(command, "nobody");

        Assert.Equal(1, run.ExitCode);
        Assert.Contains("the token is not known here", run.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("no node answers", run.Error, StringComparison.Ordinal);
        Assert.Equal(1, JsonDocument.Parse(run.Out).RootElement.GetProperty("exitCode").GetInt32());
    }

    [Fact]
    public async Task What_was_refused_is_not_measured()
    {
        var run = await RunAsync("bench --via native --blocks 2 --block-bytes 4KiB --seconds 0.1", "reader");

        Assert.Equal(1, run.ExitCode);
        Assert.Contains("nothing was stored", run.Error, StringComparison.Ordinal);
        Assert.Empty(run.Out);
    }

    private async Task<CliRun> RunAsync(string command, string token)
    {
        string[] arguments = [.. command.Replace("FILE", _file, StringComparison.Ordinal).Split(' '), "--endpoint", $"tcp://{_node.Node.Endpoints.Native}", "--token", token];
        CliRun? run = null;
        await Eventually.Holds(
            async () =>
            {
                // People do not wait for a node as long as a busy machine may need.
                run = await CliRun.Of(arguments);
                return run.ExitCode != (int)ExitCode.NodeUnreachable;
            },
            "an answer of the node");
        return run!;
    }
}
