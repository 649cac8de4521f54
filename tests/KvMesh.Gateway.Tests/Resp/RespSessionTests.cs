using System.Text;
using KvMesh.Gateway.Resp;
using KvMesh.Protocol.Sockets;
using KvMesh.TestKit;

namespace KvMesh.Gateway.Tests.Resp;

public sealed class RespSessionTests : IDisposable
{
    private const string Key = "m@1@0@abcdef@bfloat16";

    private readonly RespFixture _fixture = new();

    public void Dispose() => _fixture.Dispose();

    [Fact]
    public void Stores_and_reads_a_value_of_any_length_in_any_pieces()
    {
        foreach (var bytes in new[] { 0, 1, 28, 16 * 1024, (16 * 1024) + 1, 64 * 1024, 65_537, 300_000, 1 << 20 })
        {
            var value = TestBytes.Payload(bytes, bytes);
            foreach (var piece in new[] { 37, 4096, int.MaxValue })
            {
                var session = _fixture.Open();
                var key = $"{bytes}-{piece}";
                Assert.Equal("+OK\r\n", RespFixture.Ask(session, RespFixture.Command("SET", key, value), piece));
                Assert.Equal(Bulk(value), RespFixture.Ask(session, RespFixture.Command("GET", key), piece));
            }
        }
    }

    [Fact]
    public void Answers_a_pipeline_of_large_and_small_values_in_order()
    {
        var large = TestBytes.Payload(1, 100_000);
        var session = _fixture.Open();
        byte[] pipeline =
        [
            .. RespFixture.Command("SET", "a", large), .. RespFixture.Command("SET", "b", "small"), .. RespFixture.Command("GET", "a"),
            .. RespFixture.Command("GET", "b"), .. RespFixture.Command("SET", "a", "x", "NX"), .. RespFixture.Command("PING"),
        ];

        Assert.Equal("+OK\r\n+OK\r\n" + Bulk(large) + "$5\r\nsmall\r\n$-1\r\n+PONG\r\n", RespFixture.Ask(session, pipeline, 1000));
    }

    [Fact]
    public void Sends_the_replies_of_a_pipeline_at_once()
    {
        var channel = new MemoryChannel();
        var session = _fixture.Open();
        channel.Play(RespFixture.Command("SET", "a", new byte[28]));
        session.Run(channel);

        channel.Play([.. Enumerable.Repeat(RespFixture.Command("GET", "a"), 16).SelectMany(bytes => bytes)]);
        session.Run(channel);

        Assert.Equal(1, channel.Sends);
        Assert.Equal(16 * (5 + 28 + 2), channel.Sent.Length);
    }

    [Fact]
    public void Receives_a_large_value_into_its_extent_with_few_calls_and_no_copy_of_it()
    {
        var channel = new MemoryChannel();
        var session = _fixture.Open();
        var value = TestBytes.Payload(1, 1 << 20);
        for (var round = 0; round < 2; round++)
        {
            channel.Play(RespFixture.Command("SET", $"key{round}", value));
            session.Run(channel);
            Assert.Equal("+OK\r\n", channel.ToString());
        }

        // One for the head, four or five pieces of 256 KiB, one for the line end.
        Assert.InRange(channel.Receives, 6, 7);
    }

    [Fact]
    public void Options_behind_a_streamed_value_count()
    {
        var session = _fixture.Open();
        var value = new byte[50_000];

        Assert.Equal("$-1\r\n", RespFixture.Ask(session, RespFixture.Command("SET", "k", value, "XX")));
        Assert.Equal("-ERR syntax error\r\n", RespFixture.Ask(session, RespFixture.Command("SET", "k", value, "nonsense")));
        Assert.Equal(":0\r\n", RespFixture.Ask(session, RespFixture.Command("EXISTS", "k")));
        Assert.Equal("+OK\r\n", RespFixture.Ask(session, RespFixture.Command("SET", "k", value, "EX", "100")));
        Assert.Equal(":100\r\n", RespFixture.Ask(session, RespFixture.Command("TTL", "k")));
    }

    [Fact]
    public void A_value_cut_in_the_middle_leaves_nothing_behind()
    {
        var whole = RespFixture.Command("SET", "k", new byte[100_000]);
        var free = _fixture.Engine.Engine.Snapshot().Arenas[0].AllocatedBytes;
        foreach (var cut in new[] { 1, 20, 40, 30_000, whole.Length - 1 })
        {
            var session = _fixture.Open();
            var channel = new MemoryChannel();
            channel.Play(whole[..cut]);
            channel.CloseAfterInput();
            session.Run(channel);
            session.Dispose();
        }

        Assert.Equal(":0\r\n", _fixture.Ask("EXISTS k\r\n"));
        Assert.Equal(free, _fixture.Engine.Engine.Snapshot().Arenas[0].AllocatedBytes);
    }

    [Fact]
    public void A_peer_that_stalls_in_a_value_leaves_nothing_behind()
    {
        var free = _fixture.Engine.Engine.Snapshot().Arenas[0].AllocatedBytes;
        var session = _fixture.Open();
        var channel = new MemoryChannel();
        channel.Play(RespFixture.Command("SET", "k", new byte[100_000])[..50_000]);

        Assert.Throws<ChannelException>(() => session.Run(channel));
        session.Dispose();
        Assert.Equal(free, _fixture.Engine.Engine.Snapshot().Arenas[0].AllocatedBytes);
    }

    [Fact]
    public void A_value_without_its_line_end_is_not_stored()
    {
        var wire = RespFixture.Command("SET", "k", new byte[100_000]);
        wire[^1] = (byte)'x';

        Assert.Equal("-ERR Protocol error: bulk of 100000 bytes does not end in CRLF\r\n", RespFixture.Ask(_fixture.Open(), wire));
        Assert.Equal(":0\r\n", _fixture.Ask("EXISTS k\r\n"));
    }

    [Fact]
    public void A_key_of_no_bytes_is_a_key()
    {
        var session = _fixture.Open();

        Assert.Equal("+OK\r\n", RespFixture.Ask(session, RespFixture.Command("SET", "", "value")));
        Assert.Equal("$5\r\nvalue\r\n", RespFixture.Ask(session, RespFixture.Command("GET", "")));
    }

    [Theory]
    [InlineData("GET")]
    [InlineData("DEL")]
    [InlineData("EXISTS")]
    [InlineData("TTL")]
    public void Names_a_key_over_the_limit_to_a_client_that_reads_errors(string command)
    {
        var session = _fixture.Open();
        RespFixture.Ask(session, "PING\r\n");

        Assert.Equal("-ERR key of 1025 bytes is over the limit of 1024 bytes\r\n", RespFixture.Ask(session, RespFixture.Command(command, new string('k', 1025))));
        Assert.Equal("-ERR key of 70000 bytes is over the limit of 1024 bytes\r\n", RespFixture.Ask(session, RespFixture.Command(command, new string('k', 70_000))));
        Assert.Equal("+OK\r\n", RespFixture.Ask(session, RespFixture.Command("SET", new string('k', 1024), "v")));
    }

    [Fact]
    public void Drains_a_value_behind_a_key_over_the_limit()
    {
        var session = _fixture.Open();
        RespFixture.Ask(session, "PING\r\n");
        var wire = RespFixture.Command("SET", new string('k', 1025), new byte[100_000]);

        Assert.Equal("-ERR key of 1025 bytes is over the limit of 1024 bytes\r\n+PONG\r\n", RespFixture.Ask(session, [.. wire, .. "PING\r\n"u8]));
    }

    [Fact]
    public void Refuses_a_request_that_is_longer_than_a_connection_may_send()
    {
        using var fixture = new RespFixture(resp: options => options.MaxRequestBytes = 128 * 1024);
        var keys = Enumerable.Range(0, 3000).Select(index => (object)new string('k', 60)).Prepend("DEL").ToArray();

        Assert.Equal("-ERR Protocol error: request is over the limit of 131072 bytes\r\n", RespFixture.Ask(fixture.Open(), RespFixture.Command(keys)));
    }

    [Fact]
    public void Names_an_argument_over_the_limit_and_goes_on()
    {
        using var fixture = new RespFixture(resp: options => options.MaxRequestBytes = 128 * 1024);
        var wire = RespFixture.Command("ECHO", new byte[200_000]);

        Assert.Equal(
            "-ERR argument 1 of 200000 bytes is over the limit of 131072 bytes for one request\r\n+PONG\r\n",
            RespFixture.Ask(fixture.Open(), [.. wire, .. "PING\r\n"u8]));
    }

    [Fact]
    public void Names_a_value_over_the_limit_to_a_client_that_reads_errors_and_keeps_the_old_one()
    {
        using var fixture = new RespFixture(engine => engine.MaxBlockBytes = 1 << 16);
        var session = fixture.Open();
        RespFixture.Ask(session, "PING\r\nSET k old\r\n");

        Assert.Equal("-ERR value of 65537 bytes is over the limit of 65536 bytes\r\n", RespFixture.Ask(session, RespFixture.Command("SET", "k", new byte[65_537])));
        Assert.Equal("$3\r\nold\r\n", RespFixture.Ask(session, "GET k\r\n"));
        Assert.Equal("+OK\r\n", RespFixture.Ask(session, RespFixture.Command("SET", "k", new byte[65_536])));
    }

    [Fact]
    public void Grows_for_a_long_request_and_executes_it()
    {
        var session = _fixture.Open();
        var pairs = Enumerable.Range(0, 3000).SelectMany(index => new object[] { $"key{index}", $"value{index}" }).Prepend("MSET").ToArray();

        Assert.Equal("+OK\r\n", RespFixture.Ask(session, RespFixture.Command(pairs), 5000));
        Assert.Equal(":3000\r\n", RespFixture.Ask(session, "DBSIZE\r\n"));
        Assert.Equal("$9\r\nvalue2999\r\n", RespFixture.Ask(session, "GET key2999\r\n"));
    }

    [Fact]
    public void MSET_streams_large_values_and_the_last_of_a_key_wins()
    {
        var session = _fixture.Open();
        var first = TestBytes.Payload(1, 40_000);
        var second = TestBytes.Payload(2, 50_000);

        Assert.Equal("+OK\r\n", RespFixture.Ask(session, RespFixture.Command("MSET", "a", first, "b", "x", "a", second), 7000));
        Assert.Equal("*3\r\n" + Bulk(second) + "$1\r\nx\r\n$-1\r\n", RespFixture.Ask(session, RespFixture.Command("MGET", "a", "b", "c")));
    }

    [Fact]
    public void Scans_every_key_once_and_matches_patterns()
    {
        var session = _fixture.Open();
        var expected = Enumerable.Range(0, 500).Select(index => $"user:{index}").ToHashSet();
        foreach (var key in expected)
        {
            RespFixture.Ask(session, RespFixture.Command("SET", key, "v"));
        }

        RespFixture.Ask(session, RespFixture.Command("SET", "other", "v"));
        var found = new List<string>();
        var cursor = "0";
        do
        {
            var lines = RespFixture.Ask(session, $"SCAN {cursor} MATCH user:* COUNT 50\r\n").Split("\r\n");
            cursor = lines[2];
            found.AddRange(lines.Skip(4).Where(line => line.StartsWith("user:", StringComparison.Ordinal)));
        }
        while (cursor != "0");

        Assert.Equal(expected.Order(), found.Order());
        Assert.Equal("*1\r\n$5\r\nother\r\n", RespFixture.Ask(session, "KEYS o[a-t]he?\r\n"));
    }

    [Fact]
    public void Refuses_to_list_too_many_keys()
    {
        using var fixture = new RespFixture(resp: options => options.MaxListedKeys = 2);

        Assert.Equal(
            "+OK\r\n-ERR KEYS would list more than 2 keys; use SCAN\r\n", fixture.Ask("MSET a 1 b 2 c 3\r\nKEYS *\r\n"));
    }

    [Fact]
    public void Value_that_expired_is_gone()
    {
        var clock = new SimulatedClock();
        using var fixture = new RespFixture(time: clock);
        var session = fixture.Open();
        Assert.Equal("+OK\r\n:10000\r\n", RespFixture.Ask(session, "SET k v EX 10\r\nPTTL k\r\n"));

        clock.Advance(TimeSpan.FromMilliseconds(9999));
        Assert.Equal("$1\r\nv\r\n", RespFixture.Ask(session, "GET k\r\n"));
        clock.Advance(TimeSpan.FromMilliseconds(1));

        Assert.Equal("$-1\r\n:0\r\n:-2\r\n+none\r\n", RespFixture.Ask(session, "GET k\r\nEXISTS k\r\nTTL k\r\nTYPE k\r\n"));
    }

    [Fact]
    public void A_session_resumed_elsewhere_is_the_same_to_its_client()
    {
        var session = _fixture.Open();
        RespFixture.Ask(session, "HELLO 3\r\nCLIENT SETNAME me\r\n");
        var state = ((Gateway.Sockets.IResumableSession)session).SaveState();
        session.Dispose();

        using var resumed = _fixture.Factory.Resume(new Gateway.Sockets.ConnectionInfo(77, "10.0.0.1", false), state);
        Assert.Equal("_\r\n$2\r\nme\r\n", RespFixture.Ask(resumed, "GET nothing\r\nCLIENT GETNAME\r\n"));
        Assert.Throws<InvalidDataException>(() => _fixture.Factory.Resume(new Gateway.Sockets.ConnectionInfo(78, "x", false), state.AsSpan(0, 5)));
        Assert.Throws<InvalidDataException>(() => _fixture.Factory.Resume(new Gateway.Sockets.ConnectionInfo(78, "x", false), [9]));
    }

    [Fact]
    public void Lists_names_and_kills_connections()
    {
        var first = _fixture.Open("10.1.1.1");
        var second = _fixture.Open("10.2.2.2");
        RespFixture.Ask(first, "CLIENT SETNAME one\r\n");
        Assert.Contains("addr=10.1.1.1:0 name=one ", RespFixture.Ask(second, "CLIENT LIST\r\n"), StringComparison.Ordinal);

        Assert.Equal(":1\r\n", RespFixture.Ask(second, "CLIENT KILL ID 1\r\n"));
        var channel = new MemoryChannel();
        channel.Play("PING\r\n"u8.ToArray());
        Assert.Equal(Gateway.Sockets.SessionOutcome.Close, first.Run(channel));
    }

    [Fact]
    public void Counts_what_it_did()
    {
        _fixture.Ask("SET a b\r\nGET a\r\nGET x\r\nEXISTS a\r\nDEL a\r\n");
        var door = _fixture.Metrics.Door("resp");

        Assert.Equal((2, 1, 1, 1), (door.Get.Read().Count, door.Put.Read().Count, door.Exists.Read().Count, door.Remove.Read().Count));
        Assert.Contains("total_commands_processed:5\r\n", _fixture.Ask("INFO stats\r\n"), StringComparison.Ordinal);
    }

    [Fact]
    public void Warm_reads_and_probes_allocate_nothing()
    {
        var session = _fixture.Open();
        RespFixture.Ask(session, RespFixture.Command("SET", Key, new byte[28]));
        RespFixture.Ask(session, RespFixture.Command("SET", "large", new byte[100_000]));
        byte[] pipeline = [.. RespFixture.Command("GET", Key), .. RespFixture.Command("EXISTS", Key), .. RespFixture.Command("GET", "large"), .. RespFixture.Command("GET", "miss")];
        var channel = new MemoryChannel();
        Run(1000);

        Assert.Equal(0, Allocations.Of(() => Run(10_000)));

        void Run(int rounds)
        {
            for (var round = 0; round < rounds; round++)
            {
                channel.Play(pipeline);
                session.Run(channel);
            }
        }
    }

    [Theory]
    [InlineData("(unclosed")]
    [InlineData("a(?=b)")]
    public void Names_a_pattern_that_is_not_one(string pattern)
    {
        var options = new RespOptions();
        options.ContentKeyPatterns.Add(pattern);
        var error = Assert.Throws<ArgumentException>(() => new RespSessionFactory(
            _fixture.Engine.Engine, _fixture.Access, options, _fixture.Engine.Options.MaxBlockBytes, _fixture.Metrics, _fixture.Engine.Time));

        Assert.Contains(pattern, error.Message, StringComparison.Ordinal);
    }

    internal static string Bulk(byte[] value) => $"${value.Length}\r\n{Encoding.Latin1.GetString(value)}\r\n";
}
