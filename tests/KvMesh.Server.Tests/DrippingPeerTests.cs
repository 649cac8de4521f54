using System.Globalization;
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
        var before = await StalledAsync(door);
        using var writer = await ConnectAsync(door);
        await writer.SendAsync(door == "resp" ? Ascii($"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${ValueBytes}\r\n") : [.. Hello(), .. Put()]);

        await DripUntilEndedAsync(door, before, () => writer.SendAsync(new byte[DripBytes]));

        await Eventually.Holds(async () => await AllocatedBytesAsync() == 0, "the end of the reservation");
    }

    [Theory]
    [InlineData("resp")]
    [InlineData("native")]
    [InlineData("unix")]
    public async Task A_reader_that_drips_is_ended_and_its_block_can_leave(string door)
    {
        await StoreAsync();
        var before = await StalledAsync(door);
        using var reader = await ConnectAsync(door);
        await reader.SendAsync(door == "resp" ? Ascii("GET k\r\n") : [.. Hello(), .. Get()]);

        await DripUntilEndedAsync(door, before, () => reader.ReceiveAsync(new byte[DripBytes]));

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

    /// <summary>On a busy machine this one may be too slow for the node as well.</summary>
    private Task StoreAsync() => Eventually.Holds(
        async () =>
        {
            try
            {
                using var client = new TcpClient();
                await client.ConnectAsync(_node.Node.Endpoints.Resp!);
                await client.GetStream().WriteAsync(Ascii($"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${ValueBytes}\r\n"));
                await client.GetStream().WriteAsync(new byte[ValueBytes]);
                return await RespText.AskAsync(client, "\r\n", 5) == "+OK\r\n";
            }
            catch (IOException)
            {
                return false;
            }
        },
        "the block that is to be read");

    private Task DripUntilEndedAsync(string door, long before, Func<Task> drip) => Eventually.Holds(
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

            return await StalledAsync(door) > before;
        },
        $"the end of a peer that drips on {door}");

    /// <summary>Connections of a door that were ended for being too slow.</summary>
    private async Task<long> StalledAsync(string door)
    {
        var name = $"kvmesh_connection_stalled_total{{kvmesh_protocol=\"{(door == "resp" ? "resp" : "native")}\"}} ";
        var line = (await _node.Http.GetStringAsync(AdminRoutes.Metrics)).Split('\n').FirstOrDefault(line => line.StartsWith(name, StringComparison.Ordinal));
        return line is null ? 0 : long.Parse(line.AsSpan(name.Length), CultureInfo.InvariantCulture);
    }

    private async Task<long> AllocatedBytesAsync() => (await _node.GetAsync<NodeStatus>(AdminRoutes.Status)).Arenas.Sum(arena => arena.AllocatedBytes);
}
