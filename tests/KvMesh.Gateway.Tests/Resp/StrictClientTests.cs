using KvMesh.Gateway.Access;
using KvMesh.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Gateway.Tests.Resp;

/// <summary>
/// LMCache's native client: it reads 5 bytes after SET, 4 after EXISTS and DEL, and the length it expects after GET. Whatever else
/// comes desynchronises it for ever, so nothing else may come.
/// </summary>
public sealed class StrictClientTests
{
    private const string Key = "llama@1@0@abcdef@bfloat16";

    [Fact]
    public async Task Gets_its_bytes_from_the_first_command_on()
    {
        await using var host = new RespHost();
        using var client = new NativeClient(host.Port);
        var value = TestBytes.Payload(1, 200_000);

        Assert.False(client.Exists(Key));
        client.Set(Key, value);
        Assert.True(client.Exists(Key));
        Assert.Equal(value, client.Get(Key, value.Length));
        Assert.True(client.Delete(Key));
        Assert.False(client.Delete(Key));
    }

    [Fact]
    public async Task Is_told_OK_by_a_store_that_is_full()
    {
        await using var host = new RespHost(
            engine =>
            {
                engine.ArenaBytes = 8 << 20;
                engine.ConnectionLeaseShare = engine.TenantLeaseShare = 1;
                engine.MaxExistenceLease = TimeSpan.FromHours(1);
            },
            resp => resp.ExistsLease = TimeSpan.FromHours(1));
        using var client = new NativeClient(host.Port);
        var value = new byte[1 << 20];
        var kept = 0;
        for (var index = 0; index < 32; index++)
        {
            var key = $"llama@1@0@{index:x}@bfloat16";
            client.Set(key, value);
            kept += client.Exists(key) ? 1 : 0;
        }

        // Everything that was kept is leased, so the later writes found no room.
        Assert.InRange(kept, 1, 8);
        Assert.False(client.Exists("llama@1@0@ffff@bfloat16"));
        for (var index = 0; index < kept; index++)
        {
            Assert.Equal(value, client.Get($"llama@1@0@{index:x}@bfloat16", value.Length));
        }
    }

    [Fact]
    public async Task Is_told_OK_for_a_value_over_the_limit()
    {
        await using var host = new RespHost(engine => engine.MaxBlockBytes = 1 << 16);
        using var client = new NativeClient(host.Port);

        client.Set(Key, new byte[200_000]);
        Assert.False(client.Exists(Key));
        client.Set("opaque", new byte[10]);
        client.Set("opaque", new byte[200_000]);
        Assert.False(client.Exists("opaque"));
    }

    [Fact]
    public async Task Is_told_OK_for_a_key_over_the_limit()
    {
        await using var host = new RespHost();
        using var client = new NativeClient(host.Port);
        var key = new string('k', 1025);

        client.Set(key, new byte[100_000]);
        client.Set(key, new byte[10]);
        Assert.False(client.Exists(key));
        Assert.False(client.Delete(key));
        Assert.Equal("$-1\r\n", client.Raw.Ask(RespFixture.Command("GET", key)));
    }

    [Fact]
    public async Task Is_told_OK_while_the_node_drains_and_nothing_old_is_served_for_new()
    {
        await using var host = new RespHost();
        using var client = new NativeClient(host.Port);
        client.Set("opaque", [1]);
        client.Set(Key, [1]);
        host.Fixture.Factory.IsDraining = true;

        client.Set("opaque", [2, 2]);
        client.Set(Key, [2, 2]);
        client.Set("large", new byte[100_000]);

        Assert.False(client.Exists("opaque"));
        Assert.False(client.Exists("large"));
        Assert.Equal([1], client.Get(Key, 1));
        Assert.Contains("dropped_writes:3\r\n", client.Raw.Ask("INFO stats\r\n"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Is_told_OK_when_it_may_not_write_and_a_miss_when_it_may_not_read()
    {
        using var tokens = new TemporaryDirectory();
        await using var host = new RespHost(access: engine => AccessOf(engine, tokens, new("default", "reader", "read"), new("default", "writer", "write")));
        using var reader = new NativeClient(host.Port);
        using var writer = new NativeClient(host.Port);
        Assert.Equal("+OK\r\n", reader.Raw.Ask(RespFixture.Command("AUTH", "default", "reader")));
        Assert.Equal("+OK\r\n", writer.Raw.Ask(RespFixture.Command("AUTH", "writer")));

        reader.Set(Key, new byte[100_000]);
        Assert.False(reader.Exists(Key));
        writer.Set(Key, new byte[100_000]);
        Assert.False(writer.Exists(Key));
        Assert.False(writer.Delete(Key));
        Assert.Equal("$-1\r\n", writer.Raw.Ask(RespFixture.Command("GET", Key)));
        Assert.True(reader.Exists(Key));
        Assert.False(reader.Delete(Key));
        Assert.Equal(100_000, reader.Get(Key, 100_000).Length);

        reader.Raw.Ask("PING\r\n");
        Assert.Equal("-NOPERM this user has no permissions to run the 'set' command\r\n", reader.Raw.Ask(RespFixture.Command("SET", "k", "v")));
        Assert.Equal("-NOPERM this user has no permissions to run the 'del' command\r\n", reader.Raw.Ask(RespFixture.Command("DEL", "k")));
    }

    [Fact]
    public async Task Is_not_closed_for_being_silent_and_is_ended_at_once_when_killed()
    {
        await using var host = new RespHost();
        using var client = new NativeClient(host.Port);
        using var other = new RawClient(host.Port);
        client.Set(Key, [1]);

        // Longer than the idle window of the host, so that the connection is parked.
        Assert.Equal("+PONG\r\n", other.Ask("PING\r\n"));
        await Eventually.Holds(() => host.IsQuiet(), "both connections parked");
        Assert.Equal([1], client.Get(Key, 1));

        Assert.Equal(":1\r\n", other.Ask("CLIENT KILL ID 1\r\n"));
        Assert.Equal("", client.Raw.ReadToEnd());
    }

    [Fact]
    public async Task Eight_of_them_at_once_see_only_whole_values()
    {
        await using var host = new RespHost();
        var clients = Enumerable.Range(0, 8).Select(worker => Eventually.Run(() =>
        {
            using var client = new NativeClient(host.Port);
            var random = new Random(worker);
            for (var round = 0; round < 200; round++)
            {
                var chunk = random.Next(20);
                var key = $"llama@1@0@{chunk:x}@bfloat16";
                var value = TestBytes.Payload(chunk, 30_000 + (chunk * 1000));
                if (client.Exists(key))
                {
                    Assert.Equal(value, client.Get(key, value.Length));
                }
                else
                {
                    client.Set(key, value);
                }
            }
        }));

        await Task.WhenAll(clients).Within("the end of every client");
    }

    internal static AccessControl AccessOf(Engine.BlockEngine engine, TemporaryDirectory directory, params TestToken[] tokens) =>
        new(engine.Tenants, TestTokens.Write(Path.Combine(directory.Path, "tokens.json"), tokens), TimeProvider.System, NullLoggerFactory.Instance);

    private sealed class NativeClient(int port) : IDisposable
    {
        public RawClient Raw { get; } = new(port);

        public void Set(string key, byte[] value)
        {
            Raw.Send(RespFixture.Command("SET", key, value));
            Assert.Equal("+OK\r\n", Raw.ReadExactly(5));
        }

        public bool Exists(string key) => Flag("EXISTS", key);

        public bool Delete(string key) => Flag("DEL", key);

        public byte[] Get(string key, int bytes)
        {
            Raw.Send(RespFixture.Command("GET", key));
            var head = $"${bytes}\r\n";
            Assert.Equal(head, Raw.ReadExactly(head.Length));
            var value = System.Text.Encoding.Latin1.GetBytes(Raw.ReadExactly(bytes));
            Assert.Equal("\r\n", Raw.ReadExactly(2));
            return value;
        }

        public void Dispose() => Raw.Dispose();

        private bool Flag(string command, string key)
        {
            Raw.Send(RespFixture.Command(command, key));
            var reply = Raw.ReadExactly(4);
            Assert.Matches("^:[01]\r\n$", reply);
            return reply[1] == '1';
        }
    }
}
