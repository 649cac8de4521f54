using System.Text.Json;
using KvMesh.Protocol.Admin;
using KvMesh.Server.Options;
using KvMesh.Server.Tests;
using KvMesh.TestKit;

namespace KvMesh.Cli.Tests.Commands;

/// <summary>What the command tells of encoded blocks, on a node that codes the bytes of any block on its disk.</summary>
public sealed class CodingCommandTests : IAsyncLifetime, IDisposable
{
    private const int ValueBytes = 64 * 1024;
    private readonly TemporaryDirectory _directory = new();
    private TestNode _node = null!;

    public async Task InitializeAsync() => _node = await TestNode.StartAsync(options =>
    {
        options.Engine.ArenaBytes = 2 << 20;
        options.Engine.Disk.CapacityBytes = 64 << 20;
        options.Engine.Disk.EncodeShare = 1;
        options.Codecs.Rules.Add(new CodecRuleOptions { Layout = CodecRuleOptions.Opaque, Disk = CodecRuleOptions.Opaque });
    });

    public async Task DisposeAsync() => await _node.DisposeAsync();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Codecs_and_a_block_are_shown_as_they_are_kept()
    {
        Assert.Contains("Nothing was encoded", (await AskAsync("codecs")).Out, StringComparison.Ordinal);
        var file = Path.Combine(_directory.Path, "value");
        await File.WriteAllBytesAsync(file, [.. TestBytes.Payload(1, ValueBytes / 2), .. new byte[ValueBytes / 2]]);
        var written = 0;
        string? encoded = null;
        await Eventually.Holds(
            async () =>
            {
                for (var more = 0; more < 8; more++, written++)
                {
                    Assert.Equal(0, (await PutAsync($"value:{written}", file)).ExitCode);
                }

                for (var index = 0; index < written && encoded is null; index++)
                {
                    var run = await AskAsync("block", $"value:{index}", "--json");
                    encoded = run.ExitCode == 0 && JsonSerializer.Deserialize(run.Out, AdminJson.Default.BlockStatus)!.OnDisk is not null ? $"value:{index}" : null;
                }

                return encoded is not null;
            },
            "a block that lies encoded on disk");

        var block = await AskAsync("block", encoded!);
        Assert.Contains("opaque", block.Out, StringComparison.Ordinal);
        Assert.Contains("nothing", block.Out, StringComparison.Ordinal);
        var codecs = await AskAsync("codecs");
        Assert.Contains("opaque", codecs.Out, StringComparison.Ordinal);
        Assert.Contains("disk", codecs.Out, StringComparison.Ordinal);
        var tiers = JsonDocument.Parse((await AskAsync("codecs", "--json")).Out).RootElement.GetProperty("tiers");
        Assert.Equal(["host", "disk"], tiers.EnumerateArray().Select(tier => tier.GetProperty("tier").GetString()));
        Assert.Contains("encoded on disk", (await AskAsync("status")).Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_block_that_is_not_here_is_not_found()
    {
        var run = await AskAsync("block", "nowhere");

        Assert.Equal(4, run.ExitCode);
        Assert.Contains("there is no block nowhere here", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_policy_is_among_the_options()
    {
        var run = await AskAsync("config", "codecs", "--json");

        var entries = JsonSerializer.Deserialize(run.Out, AdminJson.Default.IReadOnlyListConfigurationEntry)!;
        Assert.All(entries, entry => Assert.StartsWith("Codecs:", entry.Name, StringComparison.Ordinal));
        Assert.Contains(entries, entry => entry is { Name: "Codecs:Disk", Value: "raw" });
        Assert.Contains("Codecs:Disk", (await AskAsync("config")).Out, StringComparison.Ordinal);
        Assert.DoesNotContain("Codecs:Disk ", (await AskAsync("config", "--changed")).Out, StringComparison.Ordinal);
    }

    private Task<CliRun> AskAsync(params string[] args) => PatientlyAsync([.. args, "--node", _node.Node.Endpoints.Http.ToString()]);

    private Task<CliRun> PutAsync(string key, string file) => PatientlyAsync(["put", key, file, "--endpoint", $"tcp://{_node.Node.Endpoints.Native}"]);

    /// <summary>People do not wait for a node as long as a busy machine may need.</summary>
    private static async Task<CliRun> PatientlyAsync(string[] args)
    {
        CliRun? run = null;
        await Eventually.Holds(
            async () =>
            {
                run = await CliRun.Of(args);
                return run.ExitCode != (int)ExitCode.NodeUnreachable;
            },
            "an answer of the node");
        return run!;
    }
}
