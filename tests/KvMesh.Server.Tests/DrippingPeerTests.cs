using System.Net;
using System.Net.Sockets;
using System.Text;
using KvMesh.Protocol.Admin;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.TestKit;

namespace KvMesh.Server.Tests;

/// <summary>
/// Peers that move a few bytes now and then: never silent for the stall limit, and never done. On no door do they keep a thread or an
/// extent for longer than their bytes are worth.
/// </summary>
public sealed class DrippingPeerTests : IAsyncLifetime
{
    private const int ValueBytes = 4 << 20;
    private const int DripBytes = 256;

    private TestNode _node = null!;

    public async Task InitializeAsync() => _node = await TestNode.StartAsync(options =>
    {
        options.Net.StallLimit = TimeSpan.FromSeconds(1);

        // Far above what a peer reaches that drips once for each look at the node's figures.
        options.Net.MinBytesPerSecond = 32 << 20;
        options.Http.MaxRequestsPerSecond = 0;
    });

    public async Task DisposeAsync() => await _node.DisposeAsync();

    [Theory]
    [InlineData("resp")]
    [InlineData("native")]
    [InlineData("unix")]
    public async Task A_writer_that_drips_is_ended_and_leaves_nothing_behind(string door)
    {
        using var writer = await ConnectAsync(door);
        await writer.SendAsync(door == "resp" ? Ascii($"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${ValueBytes}\r\n") : [.. Hello(), .. Put()]);

        await DripUntilEndedAsync(door, () => writer.SendAsync(new byte[DripBytes]));

        await Eventually.Holds(async () => await AllocatedBytesAsync() == 0, "the end of the reservation");
    }

    [Theory]
    [InlineData("resp")]
    [InlineData("native")]
    [InlineData("unix")]
    public async Task A_reader_that_drips_is_ended_and_its_block_can_leave(string door)
    {
        await StoreAsync();
        using var reader = await ConnectAsync(door);
        await reader.SendAsync(door == "resp" ? Ascii("GET k\r\n") : [.. Hello(), .. Get()]);

        await DripUntilEndedAsync(door, () => reader.ReceiveAsync(new byte[DripBytes]));

        Assert.Equal(":1\r\n", await _node.RespAsync("DEL k\r\n", 4));
        await Eventually.Holds(async () => await AllocatedBytesAsync() == 0, "the extent of the block given back");
    }

    private static byte[] Ascii(string text) => Encoding.ASCII.GetBytes(text);

    private static byte[] Hello() => Frame(Verb.Hello, writer => new HelloRequest { LowestVersion = 1, HighestVersion = 1 }.Write(writer));

    private static byte[] Get() => Frame(Verb.Get, writer =>
    {
        new GetRequest(GetMode.Whole, ValueBytes, 0).Write(writer);
        writer.WriteOpaque("k"u8);
    });

    private static byte[] Put() => Frame(
        Verb.Put,
        writer =>
        {
            new PutRequest { BlockBytes = ValueBytes }.Write(writer);
            writer.WriteOpaque("k"u8);
        },
        ValueBytes + PutRequest.TrailerBytes(ValueBytes));

    private static byte[] Frame(Verb verb, Action<FrameWriter> head, int payloadBytes = 0)
    {
        var writer = new FrameWriter();
        writer.Begin(verb, 1, FrameFlags.None);
        head(writer);
        writer.End(NativeStatus.Ok, payloadBytes);
        return writer.Pending.ToArray();
    }

    private async Task<Socket> ConnectAsync(string door)
    {
        var endpoints = _node.Node.Endpoints;
        EndPoint endpoint = door switch
        {
            "resp" => endpoints.Resp!,
            "native" => endpoints.Native!,
            _ => new UnixDomainSocketEndPoint(endpoints.UnixSocket!),
        };

        // The value must not fit into the kernel's buffers, or the node would be done with it.
        var socket = new Socket(endpoint.AddressFamily, SocketType.Stream, ProtocolType.Unspecified) { ReceiveBufferSize = 32 * 1024 };
        await socket.ConnectAsync(endpoint);
        return socket;
    }

    private async Task StoreAsync()
    {
        using var client = new TcpClient();
        await client.ConnectAsync(_node.Node.Endpoints.Resp!);
        await client.GetStream().WriteAsync(Ascii($"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${ValueBytes}\r\n"));
        await client.GetStream().WriteAsync(new byte[ValueBytes]);
        Assert.Equal("+OK\r\n", await RespText.AskAsync(client, "\r\n", 5));
    }

    private Task DripUntilEndedAsync(string door, Func<Task> drip)
    {
        var line = $"kvmesh_connection_stalled_total{{kvmesh_protocol=\"{(door == "resp" ? "resp" : "native")}\"}} 1\n";
        return Eventually.Holds(
            async () =>
            {
                try
                {
                    await drip();
                }
                catch (SocketException)
                {
                    // Ended; the figures say why.
                }

                return (await _node.Http.GetStringAsync(AdminRoutes.Metrics)).Contains(line, StringComparison.Ordinal);
            },
            $"the end of a peer that drips on {door}");
    }

    private async Task<long> AllocatedBytesAsync() => (await _node.GetAsync<NodeStatus>(AdminRoutes.Status)).Arenas.Sum(arena => arena.AllocatedBytes);
}
