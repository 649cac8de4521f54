using System.Net;
using System.Net.Sockets;
using KvMesh.TestKit;

namespace KvMesh.System.Tests;

/// <summary>SIGHUP: the node starts itself again with the configuration as it is now, and clients see a pause.</summary>
[Trait("Category", "System")]
public sealed class ReloadTests : IDisposable
{
    private readonly NodeFolders _folders = new();

    public void Dispose() => _folders.Dispose();

    [Fact]
    public async Task Credentials_and_options_are_those_on_disk_after_a_reload_and_connections_stay()
    {
        Configure(maxListedKeys: 100, "first.json", "first");
        await using var node = await NodeProcess.StartAsync(_folders, "--arena", "64MiB");
        using var client = await ConnectAsync(node.Addresses);
        Assert.Equal("+OK\r\n+OK\r\n", await RespText.AskAsync(client, "AUTH first\r\nMSET k v l w\r\n", 10));

        Configure(maxListedKeys: 1, "second.json", "second");
        await node.Process.SignalAsync("HUP");
        var successor = await node.ReadSuccessorAsync();
        try
        {
            Assert.Equal("$1\r\nv\r\n", await RespText.AskAsync(client, "GET k\r\n", 7));
            using var late = await ConnectAsync(successor);
            Assert.Equal("-WRONGPASS", await RespText.AskAsync(late, "AUTH first\r\n", 10));
            using var known = await ConnectAsync(successor);
            Assert.Equal(
                "+OK\r\n-ERR KEYS would list more than 1 keys", await RespText.AskAsync(known, "AUTH second\r\nKEYS *\r\n", "+OK\r\n-ERR KEYS would list more than 1 keys".Length));
        }
        finally
        {
            await ChildProcess.SignalAsync(successor.ProcessId, "TERM");
        }

        // Its standard output ends with the successor's, which has inherited it.
        Assert.Equal(0, await node.Process.WaitForExitAsync(Eventually.Patience));
    }

    [Fact]
    public async Task A_configuration_that_is_wrong_is_told_and_leaves_the_node_serving()
    {
        Configure(maxListedKeys: 100, "tokens.json", "first");
        await using var node = await NodeProcess.StartAsync(_folders, "--arena", "64MiB");
        using var client = await ConnectAsync(node.Addresses);
        Assert.Equal("+OK\r\n+OK\r\n", await RespText.AskAsync(client, "AUTH first\r\nSET k v\r\n", 10));

        Configure(maxListedKeys: -1, "nowhere/tokens.json", null);
        await node.Process.SignalAsync("HUP");
        await Eventually.Holds(() => node.Process.Error.Contains("MaxListedKeys is \"-1\"", StringComparison.Ordinal), "the successor's complaint");
        await Eventually.Holds(() => node.Process.Error.Contains("nowhere/tokens.json", StringComparison.Ordinal), "the rest of the complaint");

        Assert.Equal("$1\r\nv\r\n", await RespText.AskAsync(client, "GET k\r\n", 7));
        Assert.False(node.Process.HasExited);
        Assert.Equal(0, await node.StopAsync());
    }

    private static async Task<TcpClient> ConnectAsync(NodeAddresses addresses)
    {
        var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, addresses.RespPort);
        return client;
    }

    private void Configure(int maxListedKeys, string tokenFile, string? token)
    {
        var path = Path.Combine(_folders.Data, tokenFile);
        if (token is not null)
        {
            TestTokens.Write(path, [new TestToken("default", token, "read", "write")]);
        }

        File.WriteAllText(
            Path.Combine(_folders.Data, "kvmesh.json"),
            $$"""{ "Access": { "TokenFile": "{{path}}" }, "Resp": { "Rules": { "MaxListedKeys": {{maxListedKeys}} } } }""");
    }
}
