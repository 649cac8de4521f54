using KvMesh.TestKit;

namespace KvMesh.Remote.Tests.Redis.Blocks;

/// <summary>
/// Whatever becomes of the server: clients get misses within their deadline, never an error, and the tier comes back by itself. What is
/// asserted is the outcome; how long anything took is not.
/// </summary>
public sealed class FaultTests : IAsyncLifetime
{
    private TierServer _server = null!;

    public async Task InitializeAsync() => _server = await TierServer.StartAsync();

    public async Task DisposeAsync() => await _server.DisposeAsync();

    [Fact]
    public async Task A_server_that_is_down_is_a_smaller_cache_until_it_comes()
    {
        await _server.KillAsync();
        using var node = Node();
        Assert.False(node.Exists(TierNode.Key(1)));
        Assert.Null(node.Read(TierNode.Key(1)));
        Assert.False(node.Store(TierNode.Key(1), [1]));
        Assert.Equal(0, node.Match(2, 10));
        await LeftAloneAsync(node);

        await _server.BeginAsync();

        await StoresAgain(node);
    }

    [Fact]
    public async Task A_server_that_hangs_costs_a_deadline_and_is_left_alone_until_it_answers()
    {
        using var node = new TierNode(_server.Address);
        using var reader = Node();
        Assert.True(node.Store(TierNode.Key(1), [1]));
        Assert.True(node.Store(TierNode.Key(2), [2]));
        await Eventually.Holds(() => reader.Read(TierNode.Key(2)) is [2], "a block read before the server hangs");
        await _server.Process.SignalAsync("STOP");
        try
        {
            for (var attempt = 0; attempt < 4; attempt++)
            {
                Assert.Null(await Eventually.Within(() => reader.Read(TierNode.Key(1)), "a miss while the server hangs"));
                Assert.Equal(0, await Eventually.Within(() => reader.Match(1, 5), "a match while the server hangs"));
            }

            await LeftAloneAsync(reader);
            Assert.True(reader.Metrics.FailuresLate > 0, "the deadline was not what ended it");
        }
        finally
        {
            await _server.Process.SignalAsync("CONT");
        }

        await Eventually.Holds(() => reader.Read(TierNode.Key(1)) is [1], "the block is read once the server goes on");
    }

    [Fact]
    public async Task A_write_to_a_server_that_hangs_ends_and_the_block_stays_offered()
    {
        using var node = Node();
        node.Test.Put(TierNode.Key(1), TestBytes.Payload(1, 6 << 20), Engine.Blocks.BlockTraits.Content("model", "1", default));
        await _server.Process.SignalAsync("STOP");
        try
        {
            Assert.False(await Eventually.Within(() => node.Offer(TierNode.Key(1)), "the end of the write"));
        }
        finally
        {
            await _server.Process.SignalAsync("CONT");
        }

        await Eventually.Holds(() => node.Offer(TierNode.Key(1)), "the block is taken once the server goes on");
    }

    [Fact]
    public async Task A_full_server_is_read_and_not_written()
    {
        using var node = new TierNode(_server.Address);
        Assert.True(node.Store(TierNode.Key(1), [1]));
        await _server.AskAsync("CONFIG", "SET", "maxmemory", "1");

        await Eventually.Holds(
            () =>
            {
                node.Store(TierNode.Key(2), [2]);
                return !node.Tier.IsWritable;
            },
            "writes pause");
        Assert.True(node.Tier.IsUp);
        Assert.True(node.Metrics.RefusedFull > 0);
        using (var reader = new TierNode(_server.Address))
        {
            Assert.Equal([1], reader.Read(TierNode.Key(1)));
        }

        await _server.AskAsync("CONFIG", "SET", "maxmemory", "0");
        await StoresAgain(node);
    }

    [Fact]
    public async Task A_replica_is_read_and_not_written()
    {
        using var node = new TierNode(_server.Address);
        Assert.True(node.Store(TierNode.Key(1), [1]));
        await _server.AskAsync("REPLICAOF", "127.0.0.1", "1");

        await Eventually.Holds(
            () =>
            {
                node.Store(TierNode.Key(2), [2]);
                return !node.Tier.IsWritable;
            },
            "writes pause");
        Assert.True(node.Tier.IsUp);
        Assert.True(node.Metrics.RefusedReadOnly > 0);
        using (var reader = new TierNode(_server.Address))
        {
            Assert.Equal([1], reader.Read(TierNode.Key(1)));
        }

        await _server.AskAsync("REPLICAOF", "NO", "ONE");
        await StoresAgain(node);
    }

    [Fact]
    public async Task A_flushed_server_is_filled_again()
    {
        using var node = new TierNode(_server.Address);
        using var reader = new TierNode(_server.Address);
        Assert.True(node.Store(TierNode.Key(1), [1]));
        await _server.AskAsync("FLUSHALL");

        Assert.Null(reader.Read(TierNode.Key(1)));
        Assert.True(node.Offer(TierNode.Key(1)));
        Assert.Equal([1], reader.Read(TierNode.Key(1)));
    }

    [Fact]
    public async Task A_server_that_comes_back_empty_is_filled_again()
    {
        using var node = Node();
        using var reader = Node();
        await StoresAsync(node, 1);
        await Eventually.Holds(() => reader.Exists(TierNode.Key(1)), "the block seen by the other node");
        await _server.KillAsync();
        Assert.Null(reader.Read(TierNode.Key(1)));
        await _server.BeginAsync();

        await Eventually.Holds(() => node.Offer(TierNode.Key(1)), "the block is written again");
        await Eventually.Holds(() => reader.Read(TierNode.Key(1)) is [1], "the block is read again");
    }

    [Fact]
    public async Task Removals_while_the_server_is_away_are_told_when_it_is_back()
    {
        using var node = Node();
        await StoresAsync(node, 1);
        await StoresAsync(node, 2);
        await _server.Process.SignalAsync("STOP");
        try
        {
            node.Engine.Remove(node.Tenant, TierNode.Key(1));
            Assert.Null(await Eventually.Within(() => node.Read(TierNode.Key(1)), "a miss"));
            Assert.True(node.Tier.Pending > 0);
        }
        finally
        {
            await _server.Process.SignalAsync("CONT");
        }

        await Eventually.Holds(() => node.Tier.Pending == 0, "Redis was told");
        using var reader = Node();
        Assert.Null(reader.Read(TierNode.Key(1)));
        await Eventually.Holds(() => reader.Read(TierNode.Key(2)) is [2], "the other block is read");
    }

    [Fact]
    public async Task Removals_that_Redis_did_not_hear_of_outlive_the_node()
    {
        var marker = Path.Combine(_server.Folder, "marker");
        var node = new TierNode(_server.Address, TierNode.Impatient, marker: marker);
        await StoresAsync(node, 1);
        Assert.False(File.Exists(marker));
        await _server.Process.SignalAsync("STOP");
        node.Engine.Remove(node.Tenant, TierNode.Key(1));
        await Eventually.Holds(() => File.Exists(marker), "the marker");
        await Eventually.Run(node.Dispose).Within("the end of the node");

        await _server.Process.SignalAsync("CONT");
        using var next = new TierNode(_server.Address, TierNode.Impatient, marker: marker);
        await Eventually.Holds(() => !File.Exists(marker), "Redis was told");
        using var reader = Node();
        Assert.Null(reader.Read(TierNode.Key(1)));
        Assert.Equal(0, reader.Metrics.Hits);
        await StoresAgain(next);
    }

    [Theory]
    [InlineData("HTTP/1.1 400 Bad Request\r\n\r\n")]
    [InlineData("+PONG\r\n*2\r\n$4\r\nbase\r\n$999999999999\r\n")]
    [InlineData("+PONG\r\n$3\r\nabc\r\n$3\r\nabc\r\n:1\r\n")]
    [InlineData("+PONG\r\n*0\r\n$536870912\r\n")]
    [InlineData("")]
    public async Task A_server_that_answers_garbage_is_left_alone(string answer)
    {
        await using var garbage = new OddServer(System.Text.Encoding.Latin1.GetBytes(answer), []);
        using var node = new TierNode(garbage.Address, TierNode.Impatient);
        for (var attempt = 0; attempt < 4; attempt++)
        {
            Assert.Null(await Eventually.Within(() => node.Read(TierNode.Key(1)), "a miss"));
            node.Store(TierNode.Key(2), [2]);
        }

        await LeftAloneAsync(node);
        Assert.Equal(0, node.Metrics.Hits + node.Metrics.Written);
    }

    /// <param name="atOnce">What comes without delay, of what a server says to the first reader.</param>
    [Theory]
    [InlineData(0)]
    [InlineData(7)]
    [InlineData(51)]
    public async Task A_server_that_sends_a_byte_a_second_costs_a_deadline(int atOnce)
    {
        // The beginning of a right answer, so that it is the time alone that is wrong, however much of it comes.
        const string Answer = "+PONG\r\n*2\r\n$4\r\nbase\r\n$16\r\n0123456789abcdef\r\n$1000\r\n0123456789012345678901234567890123456789";
        await using var slow = new OddServer(System.Text.Encoding.Latin1.GetBytes(Answer[..atOnce]), System.Text.Encoding.Latin1.GetBytes(Answer[atOnce..]));
        using var node = new TierNode(slow.Address, TierNode.Impatient);
        await LeftAloneAsync(node);
        Assert.True(node.Metrics.FailuresLate >= 2, $"{node.Metrics.FailuresLate} deadlines");
        Assert.Equal(0, node.Metrics.Hits);
    }

    [Fact]
    public async Task Credentials_are_given_and_wrong_ones_are_a_smaller_cache()
    {
        await _server.AskAsync("ACL", "SETUSER", "kv", "on", ">secret", "~*", "+@all");
        await _server.AskAsync("CONFIG", "SET", "requirepass", "other");
        var (right, wrong) = (Password("right", "secret\n"), Password("wrong", "guess"));
        using var node = new TierNode(_server.Address, options => (options.User, options.PasswordFile, options.Database) = ("kv", right, 3));
        Assert.True(node.Store(TierNode.Key(1), [1]));
        using var refused = new TierNode(_server.Address, options => (options.User, options.PasswordFile) = ("kv", wrong));
        Assert.False(refused.Store(TierNode.Key(2), [1]));
        await LeftAloneAsync(refused);
        Assert.True(refused.Metrics.FailuresRefused > 0);
    }

    [Fact]
    public async Task A_node_stops_while_the_server_hangs()
    {
        var node = Node();
        await StoresAsync(node, 1);
        await _server.Process.SignalAsync("STOP");
        try
        {
            node.Engine.Remove(node.Tenant, TierNode.Key(1));
            await Eventually.Run(node.Dispose).Within("the end of the node");
        }
        finally
        {
            await _server.Process.SignalAsync("CONT");
        }
    }

    /// <summary>Reads what nobody stored until the server is left alone: failures that a busy machine sets far apart do not count together.</summary>
    private static Task LeftAloneAsync(TierNode node) => Eventually.Holds(
        async () =>
        {
            Assert.Null(await Eventually.Within(() => node.Read(TierNode.Key(250)), "a miss"));
            return !node.Tier.IsUp;
        },
        "the breaker opens");

    private static async Task StoresAgain(TierNode node)
    {
        var number = 100;
        await Eventually.Holds(() => node.Store(TierNode.Key(number++), [7]) && node.Metrics.Written > 0, "a block is taken");
        using var reader = new TierNode(node.Address);
        Assert.Equal([7], reader.Read(TierNode.Key(number - 1)));
    }

    /// <summary>A node that is short of patience may not get the first word in on a busy machine.</summary>
    private static Task StoresAsync(TierNode node, byte number) =>
        Eventually.Holds(() => node.Store(TierNode.Key(number), [number]), $"block {number} in Redis");

    private TierNode Node() => new(_server.Address, TierNode.Impatient);

    private string Password(string name, string text)
    {
        var path = Path.Combine(_server.Folder, name);
        File.WriteAllText(path, text);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return path;
    }
}
