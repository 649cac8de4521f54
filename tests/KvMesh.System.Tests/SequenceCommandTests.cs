using System.Text.Json;
using KvMesh.TestKit;
using KvMesh.TestKit.Sequences;

namespace KvMesh.System.Tests;

/// <summary><c>kvmesh seq</c> as a process, against a node as a process.</summary>
[Trait("Category", "System")]
public sealed class SequenceCommandTests : IAsyncLifetime, IDisposable
{
    private readonly NodeFolders _folders = new();
    private NodeProcess _node = null!;

    public async Task InitializeAsync() => _node = await NodeProcess.StartAsync(_folders, "--arena", "16MiB");

    public async Task DisposeAsync() => await _node.DisposeAsync();

    public void Dispose() => _folders.Dispose();

    [Fact]
    public async Task An_operator_takes_a_session_through_its_life()
    {
        var opened = await JsonAsync("open", "chat", "--model", "llama", "--revision", "r1", "--holder", "me", "--idle", "600");
        Assert.Equal(("default", "active", "me"), (Text(opened, "tenant"), Text(opened, "state"), Text(opened, "holder")));
        var epoch = opened.GetProperty("epoch").GetInt64();
        await using (var client = await Blocks.ConnectAsync(_node.Addresses.NativeEndpoint))
        {
            Assert.True((await client.Sequences.AppendAsync("chat", SequenceCommands.Append(epoch, 0), default)).IsOk);
            Assert.True((await client.Sequences.AppendAsync("chat", SequenceCommands.Append(epoch, 4), default)).IsOk);
        }

        Assert.False((await JsonAsync("show", "chat")).TryGetProperty("segmentList", out _));
        var shown = await JsonAsync("show", "chat", "--segments", "1");
        Assert.Equal(("active", 2), (Text(shown, "state"), shown.GetProperty("segments").GetInt32()));
        Assert.Equal((1, 4), (Assert.Single(shown.GetProperty("segmentList").EnumerateArray()).GetProperty("index").GetInt32(), shown.GetProperty("segmentList")[0].GetProperty("startBlock").GetInt32()));
        Assert.Equal(2, (await JsonAsync("show", "chat", "--segments", "50")).GetProperty("segmentList").GetArrayLength());

        var pinned = await JsonAsync("pin", "chat", "--replicas", "2", "--for", "600");
        Assert.Equal(2, pinned.GetProperty("pin").GetProperty("replicas").GetInt32());
        Assert.Equal("parked", Text(await JsonAsync("park", "chat", "--holder", "you"), "state"));
        var resumed = await JsonAsync("resume", "chat", "--holder", "you");
        Assert.Equal(("active", "you"), (Text(resumed, "state"), Text(resumed, "holder")));
        Assert.True(resumed.GetProperty("epoch").GetInt64() > epoch, "a new owner has a later epoch");

        await JsonAsync("open", "another", "--model", "llama");
        var list = await JsonAsync("list");
        Assert.Equal(["another", "chat"], list.GetProperty("sequences").EnumerateArray().Select(each => Text(each, "name")));
        var page = await JsonAsync("list", "--after", "another", "--count", "1");
        Assert.Equal("chat", Text(Assert.Single(page.GetProperty("sequences").EnumerateArray()), "name"));

        Assert.Equal("closed", Text(await JsonAsync("close", "chat"), "state"));
        Assert.Equal("another", Text(Assert.Single((await JsonAsync("list")).GetProperty("sequences").EnumerateArray()), "name"));
    }

    [Fact]
    public async Task People_read_it_too()
    {
        Assert.StartsWith("default/chat: active, me, epoch ", (await RunAsync("open", "chat", "--model", "llama", "--holder", "me")).Output, StringComparison.Ordinal);
        await using (var client = await Blocks.ConnectAsync(_node.Addresses.NativeEndpoint))
        {
            var found = (await client.Sequences.FindAsync("chat", default)).Sequence!;
            Assert.True((await client.Sequences.AppendAsync("chat", SequenceCommands.Append(found.Epoch, 0), default)).IsOk);
        }

        var shown = await RunAsync("show", "chat", "--segments", "5");
        Assert.Contains("4 blocks", shown.Output, StringComparison.Ordinal);
        Assert.Contains("blocks 0–3", shown.Output, StringComparison.Ordinal);
        var listed = await RunAsync("list");
        Assert.Contains("chat", listed.Output, StringComparison.Ordinal);
        Assert.Contains("active", listed.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_cannot_be_done_has_its_reason_and_its_exit_code()
    {
        var missing = await RunAsync("show", "nothing");
        Assert.Equal(4, missing.ExitCode);
        Assert.Contains("no such sequence", missing.Error, StringComparison.Ordinal);

        await RunAsync("open", "chat", "--model", "llama");
        var other = await RunAsync("open", "chat", "--model", "another");
        Assert.Equal(1, other.ExitCode);
        Assert.StartsWith("kvmesh: ", other.Error, StringComparison.Ordinal);
        Assert.Equal(2, (await RunAsync("open", "chat")).ExitCode);
        Assert.Equal(2, (await RunAsync("pin", "chat", "--replicas", "99")).ExitCode);
    }

    [Fact]
    public async Task Whoever_parks_for_a_node_that_is_none_is_told()
    {
        await RunAsync("open", "chat", "--model", "llama", "--holder", "me");
        var parked = await RunAsync("park", "chat", "--holder", "nobody", "--json");
        Assert.Equal(0, parked.ExitCode);
        Assert.Contains("no node of the cluster is called nobody", parked.Error, StringComparison.Ordinal);

        await RunAsync("resume", "chat", "--holder", "me");
        var nodes = await NodeProcess.RunToEndAsync(Eventually.Patience, ["nodes", "--json", "--node", $"{_node.Addresses.Http}"]);
        var self = JsonDocument.Parse(nodes.Output).RootElement.GetProperty("self").GetString()!;
        Assert.Equal("", (await RunAsync("park", "chat", "--holder", self)).Error);
    }

    private static string? Text(JsonElement element, string property) => element.GetProperty(property).GetString();

    private Task<(int ExitCode, string Output, string Error)> RunAsync(params string[] arguments) =>
        NodeProcess.RunToEndAsync(Eventually.Patience, ["seq", .. arguments, "--node", $"{_node.Addresses.Http}"]);

    private async Task<JsonElement> JsonAsync(params string[] arguments)
    {
        var run = await RunAsync([.. arguments, "--json"]);
        Assert.True(run.ExitCode == 0, $"seq {string.Join(' ', arguments)} ended with {run.ExitCode}: {run.Error}");
        return JsonDocument.Parse(run.Output).RootElement;
    }
}
