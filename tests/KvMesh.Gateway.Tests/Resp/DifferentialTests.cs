using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using KvMesh.TestKit;

namespace KvMesh.Gateway.Tests.Resp;

/// <summary>The same seeded commands to redis-server and to us; every reply must be the same bytes.</summary>
public sealed partial class DifferentialTests(RealRedis redis) : IClassFixture<RealRedis>
{
    /// <summary>How far times to live may lie apart: the same command reaches the two servers one after the other.</summary>
    private const long ToleratedMilliseconds = 60_000;

    private const int Commands = 4000;

    [Theory]
    [InlineData(1, 2)]
    [InlineData(2, 3)]
    [InlineData(3, 2)]
    [InlineData(4, 3)]
    public async Task Answers_random_commands_as_redis_does(int seed, int dialect)
    {
        await using var host = new RespHost();
        using var theirs = redis.ConnectEmpty();
        using var ours = new RawClient(host.Port);
        Hello(theirs, dialect);
        Hello(ours, dialect);

        var stream = new CommandStream(seed);
        for (var index = 0; index < Commands; index++)
        {
            var command = stream.Next();
            var expected = theirs.Ask(RespFixture.Command(command));
            var actual = ours.Ask(RespFixture.Command(command));
            Assert.True(
                AreAlike(command, expected, actual),
                $"seed {seed}, command {index}: {Describe(command)}\nredis:  {Escape(expected)}\nkvmesh: {Escape(actual)}");
        }
    }

    [Theory]
    [InlineData("get")]
    [InlineData("foo a b")]
    [InlineData("foo \"a\\r\\nb\\x00c\" d")]
    [InlineData("\"fo\\r\\no\" a")]
    [InlineData("config")]
    [InlineData("config foo")]
    [InlineData("config get")]
    [InlineData("config get save")]
    [InlineData("config get nosuchparameter")]
    [InlineData("client")]
    [InlineData("client foo bar")]
    [InlineData("client setname \"a b\"")]
    [InlineData("client getname")]
    [InlineData("client setname abc")]
    [InlineData("client no-evict foo")]
    [InlineData("client no-evict on")]
    [InlineData("client id a")]
    [InlineData("client kill foo")]
    [InlineData("client kill id 0")]
    [InlineData("client kill id 999999")]
    [InlineData("client kill foo bar")]
    [InlineData("client kill id 1 user")]
    [InlineData("client list id x")]
    [InlineData("client list foo")]
    [InlineData("client list id 99999999")]
    [InlineData("hello 4")]
    [InlineData("hello a")]
    [InlineData("hello 3 foo")]
    [InlineData("hello 3 auth a")]
    [InlineData("hello 3 auth a b")]
    [InlineData("hello 2 setname \"a b\"")]
    [InlineData("auth a")]
    [InlineData("auth default x")]
    [InlineData("auth a b")]
    [InlineData("auth a b c")]
    [InlineData("auth")]
    [InlineData("select 1")]
    [InlineData("select -1")]
    [InlineData("select a")]
    [InlineData("select 0")]
    [InlineData("select 99999999999")]
    [InlineData("cluster")]
    [InlineData("cluster slots")]
    [InlineData("cluster info")]
    [InlineData("cluster foo")]
    [InlineData("readonly")]
    [InlineData("asking")]
    [InlineData("command foo")]
    [InlineData("command info nosuchcommand")]
    [InlineData("object")]
    [InlineData("object foo a")]
    [InlineData("object encoding nosuchkey")]
    [InlineData("memory usage nosuchkey")]
    [InlineData("memory usage k samples x")]
    [InlineData("memory usage k samples -1")]
    [InlineData("memory usage k foo 1")]
    [InlineData("memory foo")]
    [InlineData("ping a b")]
    [InlineData("ping \"a\\x00b\"")]
    [InlineData("PiNg")]
    [InlineData("echo")]
    [InlineData("echo hello")]
    [InlineData("time a")]
    [InlineData("wait 0 0")]
    [InlineData("wait 0 -1")]
    [InlineData("wait a 0")]
    [InlineData("wait 0 a")]
    [InlineData("scan x")]
    [InlineData("scan -1")]
    [InlineData("scan 0 count 0")]
    [InlineData("scan 0 count a")]
    [InlineData("scan 0 foo")]
    [InlineData("scan 0 foo bar")]
    [InlineData("scan 0 match")]
    [InlineData("scan 0 type hash")]
    [InlineData("flushall foo")]
    [InlineData("flushall sync foo")]
    [InlineData("flushdb async")]
    [InlineData("info nosuchsection")]
    [InlineData("reset")]
    [InlineData("keys")]
    [InlineData("randomkey")]
    [InlineData("dbsize a")]
    [InlineData("dbsize")]
    public async Task Answers_as_redis_does(string command)
    {
        await using var host = new RespHost();
        using var theirs = redis.ConnectEmpty();
        using var ours = new RawClient(host.Port);

        Assert.Equal(theirs.Ask(command + "\r\n"), ours.Ask(command + "\r\n"));
    }

    [Theory]
    [InlineData("*2147483648\r\n")]
    [InlineData("*x\r\n")]
    [InlineData("*01\r\n")]
    [InlineData("*1\r\n$-1\r\n")]
    [InlineData("*1\r\n$01\r\n")]
    [InlineData("*1\r\n$600000000\r\n")]
    [InlineData("*1\r\n$99999999999999999999\r\n")]
    [InlineData("*1\r\n*1\r\n$4\r\n")]
    [InlineData("\"abc\r\n")]
    [InlineData("QUIT\r\nPING\r\n")]
    [InlineData("POST / HTTP/1.1\r\nPING\r\n")]
    [InlineData("*0\r\n*-1\r\n\r\nQUIT\r\n")]
    public async Task Ends_a_connection_as_redis_does(string wire)
    {
        await using var host = new RespHost();
        using var theirs = redis.ConnectEmpty();
        using var ours = new RawClient(host.Port);
        theirs.Send(Encoding.Latin1.GetBytes(wire));
        ours.Send(Encoding.Latin1.GetBytes(wire));

        Assert.Equal(theirs.ReadToEnd(), ours.ReadToEnd());
    }

    private static void Hello(RawClient client, int dialect) => Assert.NotEqual('-', client.Ask($"HELLO {dialect}\r\n")[0]);

    /// <summary>Times to live are compared roughly, everything else to the byte.</summary>
    private static bool AreAlike(object[] command, string expected, string actual)
    {
        var name = command[0].ToString()!.ToUpperInvariant();
        if (name is not ("TTL" or "PTTL" or "EXPIRETIME" or "PEXPIRETIME") || !Time().IsMatch(expected) || !Time().IsMatch(actual))
        {
            return expected == actual;
        }

        var tolerated = name.StartsWith('P') ? ToleratedMilliseconds : ToleratedMilliseconds / 1000;
        return Math.Abs(ValueOf(expected) - ValueOf(actual)) <= tolerated;
    }

    private static long ValueOf(string reply) => long.Parse(reply.AsSpan(1, reply.Length - 3), CultureInfo.InvariantCulture);

    private static string Describe(object[] command) =>
        Escape(string.Join(' ', command.Select(argument => argument is byte[] bytes ? Encoding.Latin1.GetString(bytes) : argument.ToString())));

    private static string Escape(string text) => text.Length > 300 ? Escape(text[..300]) + "..." : text.Replace("\r", "\\r").Replace("\n", "\\n");

    /// <summary>A moment or a time left; the answers for keys without one are below zero.</summary>
    [GeneratedRegex(@"^:\d+\r\n$")]
    private static partial Regex Time();
}

/// <summary>One redis-server for all comparisons, the judge of what a command means.</summary>
public sealed class RealRedis : IAsyncLifetime
{
    private RedisServer _server = null!;

    public async Task InitializeAsync() => _server = await RedisServer.StartAsync();

    public Task DisposeAsync() => _server.DisposeAsync().AsTask();

    /// <summary>A new connection to a server without keys.</summary>
    internal RawClient ConnectEmpty()
    {
        var client = new RawClient(_server.Port);
        Assert.Equal("+OK\r\n", client.Ask("FLUSHALL\r\n"));
        return client;
    }
}
