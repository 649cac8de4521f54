using KvMesh.Engine;
using KvMesh.TestKit;

namespace KvMesh.Gateway.Tests.Resp;

/// <summary>The tenant comes from AUTH, and nothing of another tenant can be read, listed, removed or guessed.</summary>
public sealed class RespTenancyTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly RespFixture _fixture;

    public RespTenancyTests() => _fixture = new RespFixture(
        Configure,
        access: engine => StrictClientTests.AccessOf(
            engine,
            _directory,
            new("red", "red-token", "read", "write", "remove"),
            new("blue", "blue-token", "read", "write", "remove"),
            new("blue", "blue-admin", "read", "write", "remove", "admin")));

    public void Dispose()
    {
        _fixture.Dispose();
        _directory.Dispose();
    }

    [Theory]
    [InlineData("GET k\r\n")]
    [InlineData("SET k v\r\n")]
    [InlineData("PING\r\n")]
    [InlineData("INFO\r\n")]
    [InlineData("SELECT 0\r\n")]
    [InlineData("CLIENT LIST\r\n")]
    public void Nothing_but_authentication_comes_first(string command) =>
        Assert.Equal("-NOAUTH Authentication required.\r\n", _fixture.Ask(command));

    [Fact]
    public void What_redis_checks_before_authentication_comes_before_it()
    {
        Assert.StartsWith("-ERR unknown command 'nosuch'", _fixture.Ask("nosuch\r\n"), StringComparison.Ordinal);
        Assert.Equal("-ERR wrong number of arguments for 'get' command\r\n", _fixture.Ask("GET\r\n"));
        Assert.StartsWith("-NOAUTH HELLO must be called", _fixture.Ask("HELLO 3\r\n"), StringComparison.Ordinal);
        Assert.Equal("-ERR Protocol error: unauthenticated bulk length\r\n", _fixture.Ask("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$16385\r\n"));
        Assert.Equal("-ERR Protocol error: unauthenticated multibulk length\r\n", _fixture.Ask("*11\r\n"));
    }

    [Theory]
    [InlineData("AUTH red red-token\r\n", "+OK\r\n")]
    [InlineData("AUTH red-token\r\n", "+OK\r\n")]
    [InlineData("AUTH blue red-token\r\n", "-WRONGPASS invalid username-password pair or user is disabled.\r\n")]
    [InlineData("AUTH red wrong\r\n", "-WRONGPASS invalid username-password pair or user is disabled.\r\n")]
    [InlineData("AUTH wrong\r\n", "-WRONGPASS invalid username-password pair or user is disabled.\r\n")]
    [InlineData("AUTH default red-token\r\n", "-WRONGPASS invalid username-password pair or user is disabled.\r\n")]
    public void Only_the_right_pair_opens(string command, string reply) => Assert.Equal(reply, _fixture.Ask(command));

    [Fact]
    public void HELLO_authenticates_too() =>
        Assert.StartsWith("%7\r\n", _fixture.Ask("HELLO 3 AUTH red red-token SETNAME me\r\n"), StringComparison.Ordinal);

    [Fact]
    public void Equal_keys_of_two_tenants_are_two_keys()
    {
        var red = Authenticated("red-token");
        var blue = Authenticated("blue-token");
        RespFixture.Ask(red, "SET k red\r\nSET only-red x\r\n");

        Assert.Equal("$-1\r\n:0\r\n:-2\r\n:0\r\n+none\r\n", RespFixture.Ask(blue, "GET k\r\nEXISTS only-red\r\nTTL k\r\nDEL k\r\nTYPE k\r\n"));
        Assert.Equal("*0\r\n:0\r\n$-1\r\n*2\r\n$1\r\n0\r\n*0\r\n", RespFixture.Ask(blue, "KEYS *\r\nDBSIZE\r\nRANDOMKEY\r\nSCAN 0\r\n"));
        RespFixture.Ask(blue, "SET k blue\r\nFLUSHALL\r\n");
        Assert.Equal("$3\r\nred\r\n:2\r\n", RespFixture.Ask(red, "GET k\r\nDBSIZE\r\n"));
    }

    [Fact]
    public void A_connection_that_changes_tenant_leaves_the_first_behind()
    {
        var session = Authenticated("red-token");
        RespFixture.Ask(session, "SET k red\r\nEXISTS k\r\n");

        Assert.Equal("+OK\r\n$-1\r\n:0\r\n", RespFixture.Ask(session, "AUTH blue-token\r\nGET k\r\nEXISTS k\r\n"));
        Assert.Equal("+RESET\r\n-NOAUTH Authentication required.\r\n", RespFixture.Ask(session, "RESET\r\nGET k\r\n"));
    }

    [Fact]
    public void Only_an_administrator_sees_and_ends_connections_of_others()
    {
        var red = Authenticated("red-token");
        RespFixture.Ask(red, "CLIENT SETNAME red-client\r\n");
        var blue = Authenticated("blue-token");
        var admin = Authenticated("blue-admin");

        Assert.DoesNotContain("red-client", RespFixture.Ask(blue, "CLIENT LIST\r\n"), StringComparison.Ordinal);
        Assert.Equal(":0\r\n", RespFixture.Ask(blue, "CLIENT KILL USER red\r\n"));
        Assert.DoesNotContain("total_commands_processed", RespFixture.Ask(blue, "INFO\r\n"), StringComparison.Ordinal);
        Assert.Contains("red-client", RespFixture.Ask(admin, "CLIENT LIST\r\n"), StringComparison.Ordinal);
        Assert.Equal(":1\r\n", RespFixture.Ask(admin, "CLIENT KILL USER red\r\n"));
    }

    private static void Configure(EngineOptions options)
    {
        options.Tenants.Add(new TenantOptions { Name = "red" });
        options.Tenants.Add(new TenantOptions { Name = "blue" });
    }

    private Gateway.Sockets.IConnectionSession Authenticated(string token)
    {
        var session = _fixture.Open();
        Assert.Equal("+OK\r\n", RespFixture.Ask(session, $"AUTH {token}\r\n"));
        return session;
    }
}
