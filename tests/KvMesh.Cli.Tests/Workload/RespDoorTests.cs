using System.Net;
using System.Net.Sockets;
using System.Text;
using KvMesh.Cli.Workload;
using KvMesh.Cli.Workload.Doors;
using KvMesh.Simulation.Traces;
using KvMesh.TestKit;

namespace KvMesh.Cli.Tests.Workload;

/// <summary>The RESP door against the server that LMCache is used with today, and against servers that misbehave.</summary>
public sealed class RespDoorTests
{
    private static readonly WorkloadKeys Keys = new("model", 1, 10_000);
    private static readonly TimeSpan Timeout = Eventually.Patience;

    [Fact]
    public async Task A_workload_on_redis_hits_what_it_wrote_and_every_byte_is_right()
    {
        await using var redis = await RedisServer.StartAsync();
        await using var door = await OpenAsync(redis.Port);
        var client = new WorkloadClient(door, Keys, TimeProvider.System);
        var requests = ConversationGenerator.Generate(new ConversationOptions { Requests = 100 });
        var model = new LruModel(int.MaxValue);

        foreach (var request in requests)
        {
            await client.ServeAsync(request, CancellationToken.None);
            model.Serve(request);
        }

        var totals = client.Tally.Totals();
        Assert.Equal(model.HitBlocks, totals.HitBlocks);
        Assert.Equal((0, 0), (totals.MismatchedBytes, totals.Errors));
        Assert.True(totals.HitBlocks > 100, $"only {totals.HitBlocks} hits");
    }

    [Fact]
    public void Keys_follow_the_grammar_of_LMCache()
    {
        var key = new byte[Keys.RespKeyBytes];
        Keys.WriteRespKey(Convert.FromHexString(string.Concat(Enumerable.Repeat("0a", 32))), key);

        Assert.Matches("^[^@]+@01000100@0@(0a){32}$", Encoding.UTF8.GetString(key));
    }

    [Theory]
    [InlineData("-ERR no\r\n", 120, "EXISTS was answered with -ERR no")]
    [InlineData(":2\r\n", 120, "EXISTS was answered with :2")]
    [InlineData("garbage without an end", 10, "no answer within")]
    public async Task An_answer_that_a_strict_client_cannot_take_is_told(string answer, int timeoutSeconds, string expected)
    {
        using var server = new AnsweringServer(answer);
        await using var door = await RespDoor.OpenAsync(
            new DnsEndPoint("127.0.0.1", server.Port), null, TimeSpan.FromSeconds(timeoutSeconds), Keys, CancellationToken.None);

        var failure = await Assert.ThrowsAsync<RespException>(() => door.MatchAsync(new byte[32], CancellationToken.None).AsTask());

        Assert.Contains(expected, failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("$5\r\nhello\r\n", BlockOutcome.Done)]
    [InlineData("$-1\r\n", BlockOutcome.Skipped)]
    [InlineData("$20000\r\n", BlockOutcome.Failed)]
    [InlineData("$5\r\nhelloworld\r\n", BlockOutcome.Failed)]
    [InlineData("+OK\r\n", BlockOutcome.Failed)]
    public async Task A_read_ends_as_the_answer_deserves(string answer, object expected)
    {
        using var server = new AnsweringServer(answer);
        await using var door = await RespDoor.OpenAsync(
            new DnsEndPoint("127.0.0.1", server.Port), null, Timeout, Keys, CancellationToken.None);
        var batch = new BlockBatch(Keys, 1);
        batch.Select(new byte[32], 0, 1);

        await door.ReadAsync(batch, CancellationToken.None);

        Assert.Equal((BlockOutcome)expected, batch.Outcomes[0]);
        Assert.False(batch.Outcomes[0] == BlockOutcome.Done && batch.CheckOf(0).IsMatch);
    }

    [Fact]
    public async Task A_door_reconnects_after_the_server_came_back()
    {
        var redis = await RedisServer.StartAsync();
        await using var door = await OpenAsync(redis.Port);
        await redis.DisposeAsync();
        await Assert.ThrowsAnyAsync<IOException>(() => door.MatchAsync(new byte[32], CancellationToken.None).AsTask());
        using var server = new AnsweringServer(":0\r\n", redis.Port);

        Assert.Equal(0, await door.MatchAsync(new byte[32], CancellationToken.None));
    }

    private static ValueTask<RespDoor> OpenAsync(int port) =>
        RespDoor.OpenAsync(new DnsEndPoint("127.0.0.1", port), null, Timeout, Keys, CancellationToken.None);

    /// <summary>Gives one answer to every command that arrives, whatever it is.</summary>
    private sealed class AnsweringServer : IDisposable
    {
        private readonly TcpListener _listener;
        private readonly CancellationTokenSource _stop = new();

        public AnsweringServer(string answer, int port = 0)
        {
            _listener = new TcpListener(IPAddress.Loopback, port);
            _listener.Server.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
            _listener.Start();
            _ = AcceptAsync(Encoding.ASCII.GetBytes(answer));
        }

        public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

        public void Dispose()
        {
            _stop.Cancel();
            _listener.Dispose();
            _stop.Dispose();
        }

        private async Task AcceptAsync(byte[] answer)
        {
            while (!_stop.IsCancellationRequested)
            {
                try
                {
                    _ = AnswerAsync(await _listener.AcceptSocketAsync(_stop.Token), answer);
                }
                catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException or SocketException)
                {
                    return;
                }
            }
        }

        private async Task AnswerAsync(Socket socket, byte[] answer)
        {
            using var connection = socket;
            var buffer = new byte[65536];
            try
            {
                while (await connection.ReceiveAsync(buffer, _stop.Token) > 0)
                {
                    await connection.SendAsync(answer, _stop.Token);
                }
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                // The test has what it wanted.
            }
        }
    }
}
