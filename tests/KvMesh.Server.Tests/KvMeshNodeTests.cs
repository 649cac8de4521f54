using System.Net.Sockets;
using System.Text;
using KvMesh.Protocol.Admin;
using KvMesh.Server.Options;
using KvMesh.TestKit;
using Microsoft.Extensions.Logging;

namespace KvMesh.Server.Tests;

public sealed class KvMeshNodeTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    [Theory]
    [InlineData("Http")]
    [InlineData("Native")]
    [InlineData("Resp")]
    public async Task A_port_in_use_is_named_and_nothing_is_left_behind(string door)
    {
        using var other = new TakenPort();
        var options = TestNode.Options(_directory.Path);
        switch (door)
        {
            case "Http":
                options.Http.Port = other.Port;
                break;
            case "Native":
                options.Native.Port = other.Port;
                break;
            default:
                options.Resp.Port = other.Port;
                break;
        }

        var exception = await Assert.ThrowsAsync<NodeStartException>(() => KvMeshNode.StartAsync(options, CancellationToken.None));

        Assert.Contains($"{door}:Port", exception.Message, StringComparison.Ordinal);
        Assert.Contains(other.Port.ToString(), exception.Message, StringComparison.Ordinal);
        await using var second = await KvMeshNode.StartAsync(TestNode.Options(_directory.Path), CancellationToken.None);
    }

    [Fact]
    public async Task A_start_that_fails_for_its_port_has_not_touched_the_arena()
    {
        var options = TestNode.Options(_directory.Path);
        options.Engine.RemoveArenaOnStop = false;
        options.Engine.ArenaDirectory = _directory.Path;
        await (await KvMeshNode.StartAsync(options, CancellationToken.None)).DisposeAsync();
        var arena = Assert.Single(Directory.GetFiles(_directory.Path, "*.arena"));
        var before = new FileInfo(arena).Length;

        using var other = new TakenPort();
        options.Resp.Port = other.Port;
        options.Engine.ArenaBytes *= 2;
        await Assert.ThrowsAsync<NodeStartException>(() => KvMeshNode.StartAsync(options, CancellationToken.None));

        Assert.Equal(before, new FileInfo(arena).Length);
    }

    [Fact]
    public async Task Two_nodes_on_one_folder_are_refused()
    {
        await using var first = await KvMeshNode.StartAsync(TestNode.Options(_directory.Path), CancellationToken.None);

        var exception = await Assert.ThrowsAsync<NodeStartException>(() => KvMeshNode.StartAsync(TestNode.Options(_directory.Path), CancellationToken.None));

        Assert.Contains(_directory.Path, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Wrong_options_of_a_program_are_reported_at_once()
    {
        var options = TestNode.Options(_directory.Path);
        options.Http.Port = -1;
        options.Engine.TenantLeaseShare = 3;

        var exception = await Assert.ThrowsAsync<NodeOptionsException>(() => KvMeshNode.StartAsync(options, CancellationToken.None));

        Assert.Equal(2, exception.Errors.Count);
    }

    [Fact]
    public async Task Doors_that_are_off_are_closed_and_a_stop_frees_the_rest()
    {
        var options = TestNode.Options(_directory.Path);
        options.Native.Enabled = false;
        options.Resp.Enabled = false;
        options.Unix.Enabled = false;

        // One that the system gives to nobody else when the node has left it.
        options.Http.Port = FreePort.Next();
        var node = await KvMeshNode.StartAsync(options, CancellationToken.None);
        Assert.Equal((null, null, null), (node.Endpoints.Native, node.Endpoints.Resp, node.Endpoints.UnixSocket));

        await node.StopAsync(CancellationToken.None);
        await node.StopAsync(CancellationToken.None);

        using var http = new HttpClient { BaseAddress = node.Endpoints.Http };
        await Assert.ThrowsAsync<HttpRequestException>(() => http.GetAsync(AdminRoutes.Healthy));
    }

    [Fact]
    public async Task A_node_with_live_viewers_stops_at_once()
    {
        await using var node = await TestNode.StartAsync();
        await using var stream = await node.Http.GetStreamAsync(AdminRoutes.Live);
        await stream.ReadExactlyAsync(new byte[10]);

        await node.Node.StopAsync(CancellationToken.None).Within("the end of the node");
    }

    [Fact]
    public async Task The_service_manager_hears_of_start_and_stop()
    {
        var path = Path.Combine(_directory.Path, "notify");
        using var manager = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified) { ReceiveTimeout = (int)Eventually.Patience.TotalMilliseconds };
        manager.Bind(new UnixDomainSocketEndPoint(path));
        var node = await TestNode.StartAsync(surroundings: new NodeSurroundings { NotifySocket = path });

        Assert.StartsWith($"READY=1\nMAINPID={Environment.ProcessId}\nSTATUS=Serving on {node.Node.Endpoints.Http}", Receive(), StringComparison.Ordinal);

        await node.DisposeAsync();
        Assert.StartsWith("STOPPING=1\n", Receive(), StringComparison.Ordinal);

        string Receive()
        {
            var buffer = new byte[1024];
            return Encoding.UTF8.GetString(buffer, 0, manager.Receive(buffer));
        }
    }

    [Fact]
    public async Task A_successor_takes_connections_and_blocks_over()
    {
        var first = await StartAsync(takeOver: false);
        using var client = new TcpClient();
        await client.ConnectAsync(first.Endpoints.Resp!);
        Assert.Equal("+OK\r\n", await RespText.AskAsync(client, "SET a hello\r\n", 5));

        await using var second = await StartAsync(takeOver: true);

        await first.Ended.Within("the end of the first node");
        Assert.Equal(first.Endpoints.Resp, second.Endpoints.Resp);
        Assert.Equal("$5\r\nhello\r\n", await RespText.AskAsync(client, "GET a\r\n", 11));
        await first.StopAsync(CancellationToken.None).Within("the stop of the first node");
        Assert.Equal("$5\r\nhello\r\n", await RespText.AskAsync(client, "GET a\r\n", 11));
    }

    [Fact]
    public async Task The_service_manager_hears_of_a_successor_before_the_node_ends()
    {
        var path = Path.Combine(_directory.Path, "notify");
        using var manager = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        manager.Bind(new UnixDomainSocketEndPoint(path));
        await using var first = await StartAsync(takeOver: false, notifySocket: path);
        await using var second = await StartAsync(takeOver: true, notifySocket: path);

        await first.Ended.Within("the end of the first node");

        var heard = new List<string>();
        var buffer = new byte[1024];
        await Eventually.Holds(
            () =>
            {
                while (manager.Available > 0)
                {
                    heard.Add(Encoding.UTF8.GetString(buffer, 0, manager.Receive(buffer)));
                }

                return heard.Exists(message => message.StartsWith("RELOADING=1\n", StringComparison.Ordinal))
                    && heard.Exists(message => message.StartsWith($"MAINPID={Environment.ProcessId}\nSTATUS=Process", StringComparison.Ordinal));
            },
            "the word of the reload and of the successor");
    }

    [Fact]
    public async Task A_successor_that_cannot_start_leaves_the_node_serving()
    {
        await using var first = await StartAsync(takeOver: false);
        using var client = new TcpClient();
        await client.ConnectAsync(first.Endpoints.Resp!);
        Assert.Equal("+OK\r\n", await RespText.AskAsync(client, "SET a hello\r\n", 5));
        using var other = new TakenPort();

        await Assert.ThrowsAsync<NodeStartException>(() => StartAsync(takeOver: true, options => options.Http.Port = other.Port));

        Assert.Equal("$5\r\nhello\r\n", await RespText.AskAsync(client, "GET a\r\n", 11));
        Assert.False(first.Ended.IsCompleted);
    }

    [Fact]
    public async Task Taking_over_from_nobody_is_refused()
    {
        var exception = await Assert.ThrowsAsync<NodeStartException>(() => StartAsync(takeOver: true));

        Assert.Contains("No node to take over from", exception.Message, StringComparison.Ordinal);
    }

    public void Dispose() => _directory.Dispose();

    private Task<KvMeshNode> StartAsync(bool takeOver, Action<NodeOptions>? configure = null, string? notifySocket = null)
    {
        var options = TestNode.Options(_directory.Path);
        options.Engine.RemoveArenaOnStop = false;
        options.Engine.ArenaDirectory = _directory.Path;
        configure?.Invoke(options);
        var surroundings = new NodeSurroundings { TakeOver = takeOver, NotifySocket = notifySocket, Logging = logging => logging.SetMinimumLevel(LogLevel.None) };
        return KvMeshNode.StartAsync(NodeOptionsReader.Check(options), surroundings, CancellationToken.None);
    }
}
