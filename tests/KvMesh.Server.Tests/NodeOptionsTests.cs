using KvMesh.Server.Options;
using KvMesh.TestKit;

namespace KvMesh.Server.Tests;

public sealed class NodeOptionsTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    [Fact]
    public void Defaults_are_loopback_on_three_ports_and_a_socket_in_the_state_folder()
    {
        var options = NodeOptionsReader.Read(null, Environment("XDG_STATE_HOME", _directory.Path), Nothing).Options;

        Assert.Equal(Path.Combine(_directory.Path, "kvmesh"), options.DataDirectory);
        Assert.Equal(options.DataDirectory, options.Engine.DataDirectory);
        Assert.Equal(("127.0.0.1", 8600), (options.Http.Address, options.Http.Port));
        Assert.Equal(("127.0.0.1", 8601), (options.Native.Address, options.Native.Port));
        Assert.Equal(("127.0.0.1", 8602), (options.Resp.Address, options.Resp.Port));
        Assert.Equal(Path.Combine(options.DataDirectory, "native.sock"), options.Unix.Path);
        Assert.True(options.Console);
        Assert.False(options.Insecure);
    }

    [Fact]
    public void Command_line_wins_over_environment_wins_over_file()
    {
        WriteFile("""{ "Http": { "Port": 1 }, "Native": { "Port": 2 }, "Resp": { "Port": 3 } }""");

        var read = NodeOptionsReader.Read(
            null, Environment("KVMESH_NATIVE__PORT", "20", "KVMESH_RESP__PORT", "30"), Overrides("DataDirectory", _directory.Path, "Resp:Port", "300"));

        Assert.Equal((1, 20, 300), (read.Options.Http.Port, read.Options.Native.Port, read.Options.Resp.Port));
        Assert.StartsWith("file", Source(read, "Http:Port"), StringComparison.Ordinal);
        Assert.Equal("environment KVMESH_NATIVE__PORT", Source(read, "Native:Port"));
        Assert.Equal("command line", Source(read, "Resp:Port"));
        Assert.Equal("default", Source(read, "Console"));
    }

    [Theory]
    [InlineData("Engine:ArenaBytes", "64GiB", "68719476736")]
    [InlineData("Engine:ArenaBytes", "1m", "1048576")]
    [InlineData("Engine:ArenaBytes", "12345", "12345")]
    [InlineData("Engine:StopBudget", "500ms", "500ms")]
    [InlineData("Engine:StopBudget", "2m", "120s")]
    [InlineData("Engine:StopBudget", "00:00:07", "7s")]
    [InlineData("Engine:TenantLeaseShare", "0.5", "0.5")]
    [InlineData("Net:MinBytesPerSecond", "1MiB", "1048576")]
    [InlineData("Net:LoopbackSendBufferBytes", "512KiB", "524288")]
    [InlineData("Native:MaxWatchers", "0", "0")]
    [InlineData("Log:Level", "warning", "Warning")]
    [InlineData("engine:disk:capacitybytes", "1TiB", "1099511627776")]
    public void Values_take_units(string name, string text, string expected)
    {
        var read = NodeOptionsReader.Read(null, Nothing, Overrides("DataDirectory", _directory.Path, name, text));

        Assert.Equal(expected, read.Entries.Single(entry => entry.Name.Equals(name, StringComparison.OrdinalIgnoreCase)).Value);
    }

    [Fact]
    public void Everything_wrong_is_reported_at_once_by_name_value_and_limit()
    {
        var file = WriteFile("""
            {
              "Http": { "Port": 99999, "Colour": "red" },
              "Engine": { "ArenaBytes": "lots", "TenantLeaseShare": 2, "Tenants": [ { "Name": "a" }, { "Name": "a", "Share": 7 } ] },
              "Log": { "Level": "Loud" },
              "Console": "perhaps",
              "Native": { "MaxWatchers": 5000 },
              "Net": { "MinBytesPerSecond": -1, "LoopbackSendBufferBytes": "2GiB", "StallLimit": "2h" },
              "Resp": 5,
              "Unknown": { "Deep": 1 }
            }
            """);

        var exception = Assert.Throws<NodeOptionsException>(() => NodeOptionsReader.Read(
            null, Environment("KVMESH_NATIVE__PROT", "1"), Overrides("DataDirectory", _directory.Path, "Native:Address", "nowhere", "Engine:StopBudget", "20")));

        foreach (var part in new[]
        {
            "Http:Port is \"99999\"", "0 to 65535", "Http:Colour is unknown", "Http has Address, Port",
            "Engine:ArenaBytes is \"lots\"", "KiB, MiB, GiB", "Engine:TenantLeaseShare is \"2\"; it must be 0 to 1",
            "Engine:Tenants:1:Share is \"7\"", "Engine:Tenants names \"a\" 2 times",
            "Log:Level is \"Loud\"", "Trace, Debug, Information", "Console is \"perhaps\"", "true or false",
            "Native:MaxWatchers is \"5000\"; it must be 0 to 4096", "Net:MinBytesPerSecond is \"-1\"; it must be 0 to 1099511627776",
            "Net:LoopbackSendBufferBytes is \"2GiB\"", "Net:StallLimit is \"7200s\"; it must be 1ms to 3600s",
            "Resp is \"5\"", "Unknown is unknown", "Native:prot is unknown (environment KVMESH_NATIVE__PROT)",
            "Native:Address is \"nowhere\"; it must be an IP address or localhost", "Engine:StopBudget is \"20\" (command line)", "500ms, 20s",
            $"file {file}",
        })
        {
            Assert.Contains(part, exception.Message, StringComparison.OrdinalIgnoreCase);
        }
    }

    [Fact]
    public void An_address_that_others_reach_needs_credentials_or_consent()
    {
        var exception = Assert.Throws<NodeOptionsException>(() => Read("Http:Address", "0.0.0.0", "Resp:Address", "192.168.1.7"));

        Assert.Equal(2, exception.Errors.Count);
        Assert.Contains("Http:Address is 0.0.0.0", exception.Errors[0], StringComparison.Ordinal);
        Assert.Contains("Resp:Address is 192.168.1.7", exception.Errors[1], StringComparison.Ordinal);
        Assert.All(exception.Errors, error => Assert.Contains("--insecure", error, StringComparison.Ordinal));

        Read("Http:Address", "0.0.0.0", "Insecure", "true");
        var tokens = TestNode.WriteTokens(_directory.Path, [new TestToken("acme", "t", "read")]);
        Read("Http:Address", "0.0.0.0", "Access:TokenFile", tokens);
    }

    [Theory]
    [InlineData("Native:Port", "8600", "both 8600")]
    [InlineData("Unix:Path", "/tmp/0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789", "the limit is 107")]
    [InlineData("Engine:ConnectionLeaseShare", "0.9", "more than Engine:TenantLeaseShare")]
    [InlineData("Engine:Tenants:0:Name", "acme", "does not name \"default\"")]
    [InlineData("Telemetry:OtlpEndpoint", "collector", "http or https address")]
    [InlineData("Access:TokenFile", "/nowhere/tokens.json", "cannot be read")]
    [InlineData("Resp:Rules:ContentKeyPatterns", "([", "regular expression")]
    [InlineData("Http:Address", "", "must be given")]
    [InlineData("Engine:StopBudget", "-5s", "must not be negative")]
    [InlineData("Engine:DataDirectory", "/tmp", "unknown")]
    [InlineData("Engine:Disk:CapacityBytes", "-1", "switches the disk tier off")]
    [InlineData("Engine:Disk:CapacityBytes", "4096", "at least 4 segments")]
    [InlineData("DataDirectory:x", "1", "single value")]
    [InlineData("Net:MaxWorkers", "32", "more workers than watchers")]
    public void Contradictions_are_refused(string name, string value, string reason)
    {
        var exception = Assert.Throws<NodeOptionsException>(() => Read(name, value));

        Assert.Contains(reason, exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{ \"Http\": ", "is not JSON")]
    [InlineData("[]", "must hold one object")]
    [InlineData("{ \"Console\": null }", "Console is null")]
    [InlineData("{ \"Console\": true, \"console\": false }", "there twice")]
    public void A_file_that_is_no_configuration_is_named(string content, string reason)
    {
        var file = WriteFile(content);

        var exception = Assert.Throws<NodeOptionsException>(() => Read());

        Assert.Contains(reason, exception.Message, StringComparison.Ordinal);
        Assert.Contains(file, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_was_asked_for_must_be_there()
    {
        var exception = Assert.Throws<NodeOptionsException>(() => NodeOptionsReader.Read("/nowhere/node.json", Nothing, Nothing));

        Assert.Contains("/nowhere/node.json", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Secrets_are_masked()
    {
        var read = NodeOptionsReader.Read(null, Nothing, Overrides("DataDirectory", _directory.Path, "Telemetry:OtlpHeaders", "x-key=hush"));

        Assert.Equal("(set)", read.Entries.Single(entry => entry.Name == "Telemetry:OtlpHeaders").Value);
        Assert.DoesNotContain(read.Entries, entry => entry.Value.Contains("hush", StringComparison.Ordinal));
    }

    [Fact]
    public void Lists_come_from_arrays_and_from_commas()
    {
        WriteFile("""{ "Http": { "AllowedHosts": [ "a", "b" ] }, "Engine": { "Tenants": [ { "Name": "default" }, { "Name": "acme", "Share": 0.25 } ] } }""");
        var options = Read().Options;

        Assert.Equal(["a", "b"], options.Http.AllowedHosts);
        Assert.Equal(["default", "acme"], options.Engine.Tenants.Select(tenant => tenant.Name));
        Assert.Equal(0.25, options.Engine.Tenants[1].Share);
        Assert.Equal(["c", "d"], Read("Resp:Rules:ContentKeyPatterns", "c, d").Options.Resp.Rules.ContentKeyPatterns);
    }

    [Fact]
    public void Variables_of_clients_are_no_options() =>
        NodeOptionsReader.Read(null, Environment("KVMESH_TOKEN", "t", "KVMESH_NODE", "n", "KVMESH_TEST_X", "1"), Overrides("DataDirectory", _directory.Path));

    [Fact]
    public void Addresses_that_Kubernetes_gives_for_services_of_that_name_are_no_options()
    {
        var read = NodeOptionsReader.Read(
            null,
            Environment(
                "KVMESH_PORT", "tcp://10.0.0.1:8601", "KVMESH_PORT_8601_TCP", "tcp://10.0.0.1:8601", "KVMESH_PORT_8601_TCP_ADDR", "10.0.0.1",
                "KVMESH_SERVICE_HOST", "10.0.0.1", "KVMESH_SERVICE_PORT", "8601", "KVMESH_SERVICE_PORT_NATIVE", "8601",
                "KVMESH_HEAD_NODE_SERVICE_HOST", "10.0.0.2", "KVMESH_HEAD_NODE_PORT_8600_TCP_PROTO", "tcp", "KVMESH_RESP__PORT", "8702"),
            Overrides("DataDirectory", _directory.Path));

        Assert.Equal(8702, read.Options.Resp.Port);
        Assert.Equal(["environment KVMESH_RESP__PORT"], read.Entries.Select(entry => entry.Source).Where(source => source.StartsWith("environment", StringComparison.Ordinal)));
    }

    [Fact]
    public void Other_unknown_variables_are_named()
    {
        var exception = Assert.Throws<NodeOptionsException>(() =>
            NodeOptionsReader.Read(null, Environment("KVMESH_RESP__PORTS", "1"), Overrides("DataDirectory", _directory.Path)));
        Assert.Contains("KVMESH_RESP__PORTS", Assert.Single(exception.Errors), StringComparison.Ordinal);
    }

    public void Dispose() => _directory.Dispose();

    private static Dictionary<string, string> Nothing => [];

    private static Dictionary<string, string> Environment(params string[] pairs) => Overrides(pairs);

    private static Dictionary<string, string> Overrides(params string[] pairs) =>
        pairs.Chunk(2).ToDictionary(pair => pair[0], pair => pair[1], StringComparer.Ordinal);

    private static string Source(NodeConfiguration read, string name) => read.Entries.Single(entry => entry.Name == name).Source;

    private NodeConfiguration Read(params string[] pairs) =>
        NodeOptionsReader.Read(null, Nothing, Overrides(["DataDirectory", _directory.Path, .. pairs]));

    private string WriteFile(string content)
    {
        var path = Path.Combine(_directory.Path, NodeOptionsReader.FileName);
        File.WriteAllText(path, content);
        return path;
    }
}
