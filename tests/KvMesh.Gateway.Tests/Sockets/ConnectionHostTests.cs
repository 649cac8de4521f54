using System.Diagnostics.Metrics;
using KvMesh.Gateway.Sockets;
using KvMesh.Protocol.Sockets;
using KvMesh.TestKit;

namespace KvMesh.Gateway.Tests.Sockets;

public sealed class ConnectionHostTests
{
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(60);

    [Fact]
    public async Task A_parked_connection_goes_on_where_it_was()
    {
        await using var fixture = new HostFixture();
        var client = fixture.Connect();
        Assert.Equal("1 a", client.Ask("a"));
        await Eventually.Holds(() => !fixture.Host.Connections()[0].IsBusy, "the connection parked");

        Assert.Equal("2 b", client.Ask("b"));
    }

    [Fact]
    public async Task Two_thousand_parked_connections_take_a_handful_of_threads()
    {
        await using var fixture = new HostFixture(new SocketOptions { MaxWorkers = 16 });
        var clients = Enumerable.Range(0, 2000).Select(_ => fixture.Connect()).ToArray();
        foreach (var client in clients)
        {
            Assert.Equal("1 x", client.Ask("x"));
        }

        Assert.Equal(2000, fixture.Host.ConnectionCount);
        Assert.InRange(fixture.Host.WorkerCount, 1, 16);
        Assert.All(clients, client => Assert.Equal("2 y", client.Ask("y")));
    }

    [Fact]
    public async Task One_connection_too_many_is_closed_at_once_and_counted()
    {
        await using var fixture = new HostFixture(new SocketOptions { MaxConnections = 2 });
        var first = fixture.Connect();
        var second = fixture.Connect();
        Assert.Equal("1 a", first.Ask("a"));
        Assert.Equal("1 b", second.Ask("b"));

        Assert.True(await Eventually.Within(fixture.Connect().IsClosedByServer, "the refusal"));
        Assert.Equal((2, 1), (fixture.Figures.Open, fixture.Figures.Refused));

        first.Dispose();
        await Eventually.Holds(() => fixture.Host.ConnectionCount == 1, "the place given back");
        Assert.Equal("1 c", fixture.Connect().Ask("c"));
    }

    [Fact]
    public async Task A_connection_that_finds_every_worker_taken_is_served_when_one_is_free()
    {
        await using var fixture = new HostFixture(new SocketOptions { MaxWorkers = 2 });
        var held = new[] { fixture.Connect(), fixture.Connect() };
        foreach (var client in held)
        {
            client.Send("hold\n");
            Assert.True(await fixture.Factory.Held.WaitAsync(Eventually.Patience), "a worker is taken");
        }

        var waiting = fixture.Connect();
        waiting.Send("x\n");
        await Eventually.Holds(() => fixture.Host.Connections().Count(row => row.IsBusy) == 3, "the third connection queued");
        fixture.Factory.Release.Release(2);

        Assert.Equal("1 x", await Eventually.Within(waiting.ReadLine, "the answer"));
        Assert.All(held, client => Assert.Equal("1 hold", client.ReadLine()));
        Assert.InRange(fixture.Host.WorkerCount, 1, 2);
    }

    [Fact]
    public async Task Busy_connections_take_turns_when_there_are_more_than_workers()
    {
        await using var fixture = new HostFixture(new SocketOptions { MaxWorkers = 1 });
        using var stop = new CancellationTokenSource();
        var greedy = fixture.Connect();
        var asking = Eventually.Within(() => AskUntil(greedy, stop.Token), "the end of the greedy client");
        var patient = fixture.Connect();
        for (var round = 1; round <= 20; round++)
        {
            Assert.Equal($"{round} x", await Eventually.Within(() => patient.Ask("x"), "a turn"));
        }

        await stop.CancelAsync();
        Assert.True(await asking > 0);
    }

    [Fact]
    public async Task A_half_sent_command_ends_after_the_stall_limit_and_an_idle_connection_does_not()
    {
        await using var fixture = new HostFixture(new SocketOptions { StallLimit = Short });
        var idle = fixture.Connect();
        Assert.Equal("1 a", idle.Ask("a"));
        var silent = fixture.Connect();
        silent.Send("half a comm");

        Assert.True(await Eventually.Within(silent.IsClosedByServer, "the end of the stalled connection"));
        await Eventually.Holds(() => fixture.Figures.Stalled == 1, "the stall counted");
        Assert.Equal("2 b", idle.Ask("b"));
    }

    [Fact]
    public async Task An_error_in_a_session_ends_only_its_connection()
    {
        await using var fixture = new HostFixture();
        var other = fixture.Connect();
        var crashing = fixture.Connect();
        Assert.Equal("1 a", other.Ask("a"));
        crashing.Send("crash\n");

        Assert.True(await Eventually.Within(crashing.IsClosedByServer, "the end of the failed connection"));
        Assert.Equal(1, fixture.Figures.Failed);
        Assert.Equal("2 b", other.Ask("b"));
    }

    [Fact]
    public async Task The_last_answer_reaches_a_client_that_has_sent_more()
    {
        await using var fixture = new HostFixture();
        var client = fixture.Connect();
        client.Send("quit\n" + new string('x', 3000));

        Assert.Equal("bye", await Eventually.Within(client.ReadLine, "the last answer"));
        Assert.True(client.IsClosedByServer());
    }

    [Fact]
    public async Task An_operator_closes_a_parked_connection_and_one_in_the_middle_of_a_command()
    {
        await using var fixture = new HostFixture();
        var parked = fixture.Connect();
        var busy = fixture.Connect();
        Assert.Equal("1 name p", parked.Ask("name p"));
        Assert.Equal("1 name b", busy.Ask("name b"));
        busy.Send("half");
        await Eventually.Holds(() => Row("b").IsBusy && !Row("p").IsBusy, "one busy, one parked");

        Assert.True(fixture.Host.CloseConnection(Row("p").Id));
        Assert.True(fixture.Host.CloseConnection(Row("b").Id));
        Assert.False(fixture.Host.CloseConnection(long.MaxValue));

        Assert.True(await Eventually.Within(parked.IsClosedByServer, "the end of the parked one"));
        Assert.True(await Eventually.Within(busy.IsClosedByServer, "the end of the busy one"));
        await Eventually.Holds(() => fixture.Host.ConnectionCount == 0, "no connection left");
        Assert.Equal(0, fixture.Figures.Lost + fixture.Figures.Failed + fixture.Figures.Stalled);

        ConnectionSnapshot Row(string name) => fixture.Host.Connections().Single(row => row.ClientName == name);
    }

    [Fact]
    public async Task Lists_connections_with_their_traffic()
    {
        await using var fixture = new HostFixture();
        var client = fixture.Connect();
        Assert.Equal("1 name probe", client.Ask("name probe"));
        await Eventually.Holds(() => Assert.Single(fixture.Host.Connections()).SentBytes > 0, "the answer counted");
        var row = Assert.Single(fixture.Host.Connections());

        Assert.Equal(("line", "127.0.0.1", "probe", 1), (row.Protocol, row.RemoteAddress, row.ClientName, row.Commands));
        Assert.Equal(("name probe\n".Length, "1 name probe\n".Length), (row.ReceivedBytes, row.SentBytes));
        Assert.Equal(("line", fixture.Endpoint), Assert.Single(fixture.Host.Endpoints()));
    }

    [Fact]
    public async Task Instruments_show_open_connections_and_bytes_of_closed_ones()
    {
        await using var fixture = new HostFixture();
        var gone = fixture.Connect();
        Assert.Equal("1 abc", gone.Ask("abc"));
        gone.Dispose();
        await Eventually.Holds(() => fixture.Host.ConnectionCount == 0, "the connection gone");
        Assert.Equal("1 de", fixture.Connect().Ask("de"));

        // An answer is counted after it was sent, when its reader may have it already.
        await Eventually.Holds(() => Collect(fixture.Metrics.Meter)["kvmesh.network.io/transmit"] == 11, "the second answer counted");
        var seen = Collect(fixture.Metrics.Meter);

        Assert.Equal(1, seen["kvmesh.connection.count"]);
        Assert.Equal(2, seen["kvmesh.connection.accepted"]);
        Assert.Equal(7, seen["kvmesh.network.io/receive"]);
    }

    [Fact]
    public async Task Serves_unix_sockets_and_removes_the_path_when_it_stops()
    {
        using var folder = new TemporaryDirectory();
        var path = Path.Combine(folder.Path, "node.sock");
        await using (var fixture = new HostFixture(isStarted: false))
        {
            var endpoint = fixture.Host.Listen(StreamEndpoint.Unix(path), fixture.Factory);
            fixture.Host.Start();
            using var client = new LineClient(endpoint);

            Assert.Equal("1 a", client.Ask("a"));
            Assert.Equal("unix", Assert.Single(fixture.Host.Connections()).RemoteAddress);
        }

        Assert.False(File.Exists(path));
    }

    [Fact]
    public async Task Stop_lets_a_command_finish_and_then_closes()
    {
        await using var fixture = new HostFixture();
        var idle = fixture.Connect();
        Assert.Equal("1 a", idle.Ask("a"));
        var busy = fixture.Connect();
        busy.Send("hold\n");
        Assert.True(await fixture.Factory.Held.WaitAsync(Eventually.Patience), "the command began");
        var stopping = fixture.Host.StopAsync(Eventually.Patience, CancellationToken.None);
        await Eventually.Holds(() => IsRefused(fixture), "the listener closed");
        Assert.False(stopping.IsCompleted);
        fixture.Factory.Release.Release();

        Assert.Equal("1 hold", await Eventually.Within(busy.ReadLine, "the answer"));
        await stopping.WaitAsync(Eventually.Patience);
        Assert.True(busy.IsClosedByServer());
        Assert.True(idle.IsClosedByServer());
    }

    [Fact]
    public async Task Stop_cuts_off_what_does_not_come_to_a_boundary()
    {
        await using var fixture = new HostFixture();
        var client = fixture.Connect();
        client.Send("half");
        await Eventually.Holds(() => fixture.Host.Connections() is [{ ReceivedBytes: 4 }], "the half command");
        await fixture.Host.StopAsync(Short, CancellationToken.None).WaitAsync(Eventually.Patience);

        Assert.True(client.IsClosedByServer());
    }

    [Fact]
    public async Task Hundreds_of_clients_at_once_lose_and_mix_up_nothing()
    {
        await using var fixture = new HostFixture(new SocketOptions { MaxWorkers = 4 });
        await Task.WhenAll(Enumerable.Range(0, 32).Select(lane => Eventually.Within(() => Converse(fixture.Endpoint, lane), "one lane")));
        await Eventually.Holds(() => fixture.Host.ConnectionCount == 0, "every connection closed");

        Assert.Equal(32 * 8, fixture.Figures.Accepted);
        Assert.Equal(0, fixture.Figures.Failed + fixture.Figures.Lost + fixture.Figures.Stalled);
    }

    private static bool Converse(System.Net.EndPoint endpoint, int seed)
    {
        var random = new Random(seed);
        var clients = Enumerable.Range(0, 8).Select(_ => new LineClient(endpoint)).ToArray();
        var asked = new int[clients.Length];
        for (var round = 0; round < 400; round++)
        {
            var index = random.Next(clients.Length);
            Assert.Equal($"{++asked[index]} {seed}.{round}", clients[index].Ask($"{seed}.{round}"));
        }

        Array.ForEach(clients, client => client.Dispose());
        return true;
    }

    private static int AskUntil(LineClient client, CancellationToken stop)
    {
        var asked = 0;
        while (!stop.IsCancellationRequested)
        {
            Assert.Equal($"{++asked} g", client.Ask("g"));
        }

        return asked;
    }

    private static bool IsRefused(HostFixture fixture)
    {
        try
        {
            using var probe = StreamSocket.Connect(fixture.Endpoint, StreamSocketOptions.Default);
            return false;
        }
        catch (ChannelException)
        {
            return true;
        }
    }

    private static Dictionary<string, long> Collect(Meter meter)
    {
        var seen = new Dictionary<string, long>();
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, self) =>
        {
            if (instrument.Meter == meter)
            {
                self.EnableMeasurementEvents(instrument);
            }
        };
        listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) =>
        {
            var direction = tags.ToArray().FirstOrDefault(tag => tag.Key == "network.io.direction").Value;
            seen[direction is null ? instrument.Name : $"{instrument.Name}/{direction}"] = value;
        });
        listener.Start();
        listener.RecordObservableInstruments();
        return seen;
    }
}
