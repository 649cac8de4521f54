using System.Net;
using KvMesh.Gateway.Sockets;
using KvMesh.Protocol.Sockets;
using KvMesh.TestKit;

namespace KvMesh.Gateway.Tests.Sockets;

public sealed class FrozenConnectionsTests
{
    [Fact]
    public async Task A_strict_client_sees_a_pause_and_not_a_reset()
    {
        await using var fixture = new HostFixture();
        var client = fixture.Connect();
        Assert.Equal("1 name c", client.Ask("name c"));
        var frozen = fixture.Host.Freeze(Eventually.Patience);
        Assert.Equal(0, fixture.Host.ConnectionCount);

        // Both the next command and a new connection wait in the kernel until the next host is there.
        client.Send("b\n");
        var late = fixture.Connect();
        late.Send("x\n");
        fixture.Host.Adopt(frozen, [fixture.Factory]);
        fixture.Host.Start();

        Assert.Equal("2 b", await Eventually.Within(client.ReadLine, "the answer of the next host"));
        Assert.Equal("1 x", await Eventually.Within(late.ReadLine, "the answer to the late client"));
        Assert.Equal("c", fixture.Host.Connections()[0].ClientName);
        Assert.Equal("name c\nb\n".Length, fixture.Host.Connections()[0].ReceivedBytes);
    }

    [Fact]
    public async Task Clients_under_load_notice_nothing_over_many_freezes()
    {
        await using var fixture = new HostFixture();
        using var stop = new CancellationTokenSource();
        var lanes = Enumerable.Range(0, 8).Select(_ => fixture.Connect())
            .Select(client => Eventually.Within(() => Ask(client, stop.Token), "the end of a lane")).ToArray();
        for (var round = 0; round < 20; round++)
        {
            await Eventually.Holds(() => fixture.Host.Connections() is { Count: 8 } rows && rows.All(row => row.ReceivedBytes > 0), "every lane served");
            var frozen = fixture.Host.Freeze(Eventually.Patience);
            Assert.Equal(0, frozen.ClosedCount);
            fixture.Host.Adopt(frozen, [fixture.Factory]);
            fixture.Host.Start();
        }

        await stop.CancelAsync();
        Assert.All(await Task.WhenAll(lanes), asked => Assert.True(asked > 0));
        Assert.Equal(0, fixture.Figures.Lost + fixture.Figures.Failed);
    }

    [Fact]
    public async Task A_connection_in_the_middle_of_a_command_is_cut_off_and_counted()
    {
        await using var fixture = new HostFixture();
        var late = fixture.Connect();
        late.Send("half");
        var good = fixture.Connect();
        Assert.Equal("1 a", good.Ask("a"));
        await Eventually.Holds(
            () => fixture.Host.Connections() is [{ ReceivedBytes: 4 }, { IsBusy: false }], "the half command, and the other connection at its boundary");
        using var frozen = fixture.Host.Freeze(TimeSpan.FromMilliseconds(60));

        Assert.Equal(1, frozen.ClosedCount);
        Assert.Single(frozen.Connections);
        Assert.True(await Eventually.Within(late.IsClosedByServer, "the end of the late one"));
    }

    [Fact]
    public async Task A_session_that_cannot_be_resumed_is_closed_and_a_silent_connection_is_not()
    {
        using var once = new OnceFactory();
        await using var fixture = new HostFixture(isStarted: false);
        var endpoint = fixture.Host.Listen(new IPEndPoint(IPAddress.Loopback, 0), once);
        fixture.Host.Start();
        using var spoken = new LineClient(endpoint);
        using var silent = new LineClient(endpoint);
        Assert.Equal("1 a", spoken.Ask("a"));
        await Eventually.Holds(() => fixture.Host.ConnectionCount == 2, "both accepted");
        var frozen = fixture.Host.Freeze(Eventually.Patience);

        Assert.True(await Eventually.Within(spoken.IsClosedByServer, "the end of what cannot be resumed"));
        Assert.Equal((1, 1, 2), (frozen.ClosedCount, frozen.Connections.Count, frozen.Listeners.Count));
        fixture.Host.Adopt(frozen, [once, fixture.Factory]);
        fixture.Host.Start();
        Assert.Equal("1 b", await Eventually.Within(() => silent.Ask("b"), "the answer of the next host"));
    }

    [Fact]
    public async Task What_finds_no_factory_is_closed()
    {
        await using var fixture = new HostFixture();
        var client = fixture.Connect();
        Assert.Equal("1 a", client.Ask("a"));
        fixture.Host.Adopt(fixture.Host.Freeze(Eventually.Patience), []);

        Assert.True(await Eventually.Within(client.IsClosedByServer, "the end"));
        Assert.Throws<ChannelException>(() => StreamSocket.Connect(fixture.Endpoint, StreamSocketOptions.Default));
    }

    private static int Ask(LineClient client, CancellationToken stop)
    {
        var asked = 0;
        while (!stop.IsCancellationRequested)
        {
            Assert.Equal($"{++asked} q", client.Ask("q"));
        }

        return asked;
    }

    /// <summary>Makes sessions that only this process can serve.</summary>
    private sealed class OnceFactory : ISessionFactory, IDisposable
    {
        private readonly LineFactory _lines = new();

        public string Protocol => "once";

        public IConnectionSession Create(ConnectionInfo connection) => new Once(_lines.Create(connection));

        public void Dispose() => _lines.Dispose();

        private sealed class Once(IConnectionSession inner) : IConnectionSession
        {
            public SessionOutcome Run(IByteChannel channel) => inner.Run(channel);

            public void Dispose() => inner.Dispose();
        }
    }
}
