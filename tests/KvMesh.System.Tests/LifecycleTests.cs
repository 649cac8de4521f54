using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using KvMesh.TestKit;

namespace KvMesh.System.Tests;

[Trait("Category", "System")]
public sealed class LifecycleTests : IDisposable
{
    private static readonly TimeSpan Limit = Eventually.Patience;
    private readonly NodeFolders _folders = new();

    public void Dispose() => _folders.Dispose();

    [Fact]
    public async Task A_second_node_on_one_folder_is_refused_and_told_the_first_ones_pid()
    {
        await using var node = await NodeProcess.StartAsync(_folders, "--arena", "64MiB");
        await using var second = NodeProcess.Begin(_folders, "--arena", "64MiB");

        Assert.Equal(1, await second.WaitForExitAsync(Limit));
        Assert.Contains(node.Addresses.ProcessId.ToString(null as IFormatProvider), second.Error, StringComparison.Ordinal);
        Assert.StartsWith("""{"error":""", Assert.Single(second.Output), StringComparison.Ordinal);
        Assert.False(node.Process.HasExited);
    }

    [Fact]
    public async Task Top_with_json_prints_one_object_a_line_and_nothing_else()
    {
        await using var node = await NodeProcess.StartAsync(_folders, "--arena", "64MiB");
        var (exitCode, output, error) = await NodeProcess.RunToEndAsync(Limit, "top", "--node", $"{node.Addresses.Http}", "--count", "2", "--json");

        Assert.True(exitCode == 0, error);
        var lines = output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(2, lines.Length);
        Assert.All(lines, line =>
        {
            using var update = JsonDocument.Parse(line);
            Assert.Equal(node.Addresses.ProcessId, update.RootElement.GetProperty("status").GetProperty("process").GetProperty("processId").GetInt32());
        });
    }

    [Fact]
    public async Task Console_with_json_prints_where_it_serves()
    {
        await using var node = await NodeProcess.StartAsync(_folders, "--arena", "64MiB");
        await using var console = NodeProcess.Run(["console", "--node", $"{node.Addresses.Http}", "--listen", "127.0.0.1:0", "--json"]);

        var line = await console.WaitForLineAsync(text => text.StartsWith('{'), "the address of the dashboard", Limit);
        using var report = JsonDocument.Parse(line);
        using var http = new HttpClient { BaseAddress = new Uri(report.RootElement.GetProperty("address").GetString()!) };
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync(new Uri("/", UriKind.Relative))).StatusCode);
    }

    [Theory]
    [InlineData("--http")]
    [InlineData("--native")]
    [InlineData("--resp")]
    public async Task A_port_in_use_is_refused_by_name(string option)
    {
        using var other = new TakenPort();
        string[] ports = [.. new[] { "--http", "--native", "--resp" }.SelectMany(door => new[] { door, door == option ? $"127.0.0.1:{other.Port}" : "127.0.0.1:0" })];

        await using var process = NodeProcess.Run(["serve", "--data-dir", _folders.Data, "--arena", "64MiB", .. ports], _folders.Environment);

        Assert.Equal(1, await process.WaitForExitAsync(Limit));
        Assert.Contains($"{other.Port}", process.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", process.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Wrong_options_are_all_reported_at_once_by_name()
    {
        _folders.Environment["KVMESH_Engine__VerifyOneReadIn"] = "-3";
        _folders.Environment["KVMESH_Engine__Flavour"] = "vanilla";
        await using var process = NodeProcess.Begin(_folders, "--resp", "0.0.0.0:0");

        Assert.Equal(2, await process.WaitForExitAsync(Limit));
        Assert.Contains("VerifyOneReadIn", process.Error, StringComparison.Ordinal);
        Assert.Contains("Flavour", process.Error, StringComparison.Ordinal);
        Assert.Contains("Insecure", process.Error, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task An_arena_that_the_machine_cannot_hold_is_refused_with_field_value_and_limit()
    {
        await using var process = NodeProcess.Begin(_folders, "--arena", "4TiB");

        Assert.Equal(1, await process.WaitForExitAsync(Limit));
        Assert.Contains("Engine:ArenaBytes asks for 40", process.Error, StringComparison.Ordinal);
        Assert.Contains($"{_folders.Environment["KVMESH_Engine__ArenaDirectory"]} has room for", process.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", process.Error, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folders.Environment["KVMESH_Engine__ArenaDirectory"]));
    }

    [Fact]
    public async Task A_node_writes_nothing_to_its_users_home()
    {
        using var home = new TemporaryDirectory();
        _folders.Environment["HOME"] = home.Path;
        await using var node = await NodeProcess.StartAsync(_folders, "--arena", "64MiB");
        using var http = new HttpClient { BaseAddress = node.Addresses.Http, Timeout = Eventually.Patience };
        Assert.Contains("KvMesh", await http.GetStringAsync(new Uri("/dashboard", UriKind.Relative)), StringComparison.Ordinal);

        // That the machine kept it from its work is no fault of the node.
        Assert.DoesNotContain(
            node.Process.Error.Split('\n'), line => line.Contains("warn:", StringComparison.Ordinal) && !line.Contains("Microsoft.AspNetCore.Server.Kestrel", StringComparison.Ordinal));
        Assert.Equal(0, await node.StopAsync());
        Assert.Empty(Directory.EnumerateFileSystemEntries(home.Path));
    }

    [Fact]
    public async Task A_node_stops_cleanly_on_a_signal_with_connections_open()
    {
        await using var node = await NodeProcess.StartAsync(_folders, "--arena", "64MiB");
        await using var client = await Blocks.ConnectAsync(node.Addresses.NativeEndpoint);
        using var idle = new TcpClient();
        await idle.ConnectAsync(IPAddress.Loopback, node.Addresses.RespPort);

        Assert.Equal(0, await node.StopAsync());
    }

    [Fact]
    public async Task Status_and_purge_work_on_a_running_node()
    {
        await using var node = await NodeProcess.StartAsync(_folders, "--arena", "64MiB");
        await using var client = await Blocks.ConnectAsync(node.Addresses.NativeEndpoint);
        var blocks = new Blocks(chain: 1, count: 20);
        await blocks.PutAsync(client);
        var url = node.Addresses.Http.ToString();

        var status = await NodeProcess.RunToEndAsync(Limit, "status", "--json", "--node", url);
        var purge = await NodeProcess.RunToEndAsync(Limit, "purge", "--model", "system-tests", "--json", "--node", url);

        Assert.Equal((0, 0), (status.ExitCode, purge.ExitCode));
        Assert.Equal(20, JsonDocument.Parse(status.Output).RootElement.GetProperty("tiers")[0].GetProperty("blocks").GetInt64());
        Assert.Equal(20, JsonDocument.Parse(purge.Output).RootElement.GetProperty("removedBlocks").GetInt64());
        Assert.Equal(0, await blocks.GetAsync(client));
    }

    [Fact]
    public async Task Files_go_in_and_come_out_by_key_and_are_gone_after_rm()
    {
        await using var node = await NodeProcess.StartAsync(_folders, "--arena", "64MiB");
        using var files = new TemporaryDirectory();
        var (original, copy) = (Path.Combine(files.Path, "in"), Path.Combine(files.Path, "out"));
        var content = TestBytes.Payload(seed: 1, bytes: 3_000_001);
        await File.WriteAllBytesAsync(original, content);
        var endpoint = node.Addresses.NativeEndpoint;

        var put = await NodeProcess.RunToEndAsync(Limit, "put", "some/key", original, "--endpoint", endpoint, "--json");
        var get = await NodeProcess.RunToEndAsync(Limit, "get", "some/key", "-o", copy, "--endpoint", endpoint);
        var remove = await NodeProcess.RunToEndAsync(Limit, "rm", "some/key", "--endpoint", endpoint);
        var missing = await NodeProcess.RunToEndAsync(Limit, "get", "some/key", "--endpoint", endpoint);

        Assert.Equal((0, 0, 0, 4), (put.ExitCode, get.ExitCode, remove.ExitCode, missing.ExitCode));
        var back = await File.ReadAllBytesAsync(copy);
        Assert.True(content.AsSpan().SequenceEqual(back), "the file came back changed");
        Assert.Equal(content.Length, JsonDocument.Parse(put.Output).RootElement.GetProperty("bytes").GetInt64());
    }
}
