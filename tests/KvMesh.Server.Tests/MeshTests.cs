using System.Net;
using System.Security.Cryptography;
using KvMesh.Client;
using KvMesh.Client.Admin;
using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Admin;
using KvMesh.Server.Mesh;
using KvMesh.Server.Mesh.Silos;
using KvMesh.Server.Options;
using KvMesh.TestKit;
using KvMesh.TestKit.Coordination;

namespace KvMesh.Server.Tests;

public sealed class MeshTests : IAsyncLifetime
{
    private RestartableRedis _redis = null!;

    public async Task InitializeAsync() => _redis = await RestartableRedis.StartAsync();

    public async Task DisposeAsync() => await _redis.DisposeAsync();

    [Fact]
    public async Task A_node_of_its_own_is_a_cluster_of_one()
    {
        await using var node = await TestNode.StartAsync(options => options.Mesh.NodeId = "solo");

        var status = await node.GetAsync<ClusterStatus>(AdminRoutes.Nodes);

        Assert.Equal(("kvmesh", "solo", "member"), (status.Cluster, status.Self, status.Standing));
        var member = Assert.Single(status.Nodes);
        Assert.Equal(node.Node.Endpoints.Native!.ToString(), member.NativeAddress);
        Assert.Equal(node.Node.Endpoints.Http.ToString(), member.HttpAddress);
        Assert.Contains(member.Tiers, tier => tier is { Name: "host", CapacityBytes: > 0 });
    }

    [Fact]
    public async Task Nodes_of_one_redis_see_each_other_and_one_that_stops_is_gone()
    {
        await using var one = await StartAsync("one");
        await using (await StartAsync("two"))
        {
            await Eventually.Holds(async () => await NamesAsync(one) == "one,two", "both nodes in the view of the first");
        }

        await Eventually.Holds(async () => await NamesAsync(one) == "one", "only the first in its view");
    }

    [Fact]
    public async Task A_second_node_with_an_id_in_use_does_not_start_and_says_who_has_it()
    {
        await using var first = await StartAsync("same");

        // A store that is late by more than a second is taken for silent, and delays no start: then the node is refused once it serves.
        NodeStartException refusal = null!;
        await Eventually.Holds(
            async () =>
            {
                try
                {
                    await using var second = await StartAsync("same");
                    return false;
                }
                catch (NodeStartException exception)
                {
                    refusal = exception;
                    return true;
                }
            },
            "the refusal of the second node");

        Assert.Contains(first.Node.Endpoints.Native!.ToString(), refusal.Message, StringComparison.Ordinal);
        Assert.Contains("Mesh:NodeId", refusal.Message, StringComparison.Ordinal);
        Assert.Contains("since", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_redis_a_node_serves_says_so_and_joins_later()
    {
        await _redis.KillAsync();
        await using var node = await StartAsync("late");

        Assert.StartsWith("ready, alone: ", await node.Http.GetStringAsync(AdminRoutes.Ready), StringComparison.Ordinal);
        Assert.Equal("joining", (await node.GetAsync<ClusterStatus>(AdminRoutes.Nodes)).Standing);
        await _redis.RestartAsync(keepsData: false);

        await Eventually.Holds(async () => await NamesAsync(node) == "late", "the node in its own view");
        await Eventually.Holds(async () => await node.Http.GetStringAsync(AdminRoutes.Ready) == "ready\n", "the node ready, and not alone");
    }

    [Fact]
    public async Task An_operator_declares_a_node_gone_through_another()
    {
        await using var one = await StartAsync("one");
        await using var two = await StartAsync("two");
        await Eventually.Holds(async () => await NamesAsync(one) == "one,two", "both nodes in the view of the first");
        var before = (await one.GetAsync<ClusterStatus>(AdminRoutes.Nodes)).Nodes.Single(node => node.Id == "two").Incarnation;
        using var admin = PatientAdmin.Of(one.Node.Endpoints.Http);

        Assert.False(await admin.ForgetNodeAsync("three", CancellationToken.None));
        Assert.False(await admin.ForgetNodeAsync("one", CancellationToken.None));
        await IsForgottenAsync(admin, "two");

        // It lives, so it comes back, as another run.
        await Eventually.Holds(
            async () => (await admin.GetNodesAsync(CancellationToken.None)).Nodes.Any(node => node.Id == "two" && node.Incarnation > before),
            "the node back under a new incarnation");
        using var wrong = await one.Http.DeleteAsync(AdminRoutes.Nodes + "/UPPER");
        Assert.Equal(HttpStatusCode.BadRequest, wrong.StatusCode);
    }

    [Fact]
    public async Task A_holder_of_the_key_acts_for_any_tenant_of_a_node_that_asks_for_tokens()
    {
        using var folder = new TemporaryDirectory();
        var keyFile = Path.Combine(folder.Path, "mesh.key");
        var key = RandomNumberGenerator.GetBytes(48);
        await File.WriteAllBytesAsync(keyFile, key);
        await using var node = await TestNode.StartAsync(
            options => (options.Mesh.NodeId, options.Mesh.KeyFile) = ("keyed", keyFile), [new TestToken("acme", "secret", "read")]);
        var credential = PeerCredential.FromKey(key, "kvmesh");

        Assert.True(await IsWelcomeAsync(node, credential.TokenFor(NodeId.Parse("keyed"))));
        Assert.False(await IsWelcomeAsync(node, credential.TokenFor(NodeId.Parse("other"))));
        Assert.False(await IsWelcomeAsync(node, null));
    }

    [Fact]
    public void Every_mistake_of_the_mesh_is_named_at_once()
    {
        var options = TestNode.Options("/tmp/kvmesh-none");
        options.Mesh.Control = ControlHost.Orleans;
        options.Mesh.Redis = "";
        options.Mesh.Cluster = "A b";
        options.Mesh.NodeId = "-x";
        options.Mesh.KeyFile = "/nowhere/key";
        options.Mesh.HeartbeatInterval = TimeSpan.FromMilliseconds(1);

        var errors = Assert.Throws<NodeOptionsException>(() => NodeOptionsReader.Check(options)).Errors;

        foreach (var expected in new[] { "Mesh:Control is Orleans", "Mesh:Cluster", "Mesh:NodeId", "Mesh:KeyFile", "Mesh:HeartbeatInterval" })
        {
            Assert.Contains(errors, error => error.Contains(expected, StringComparison.Ordinal));
        }
    }

    [Fact]
    public void Orleans_is_for_programs_that_were_built_with_it()
    {
        var options = TestNode.Options("/tmp/kvmesh-none");
        (options.Mesh.Redis, options.Mesh.Control, options.Mesh.Silo.Address) = ("127.0.0.1:6379", ControlHost.Orleans, "127.0.0.1");
        if (MeshSilo.IsBuilt)
        {
            NodeOptionsReader.Check(options);
            return;
        }

        var error = Assert.Single(Assert.Throws<NodeOptionsException>(() => NodeOptionsReader.Check(options)).Errors);

        Assert.Contains("-p:KvMeshOrleans=true", error, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_mistake_of_a_silo_is_named_with_value_and_limit()
    {
        var options = TestNode.Options("/tmp/kvmesh-none");
        (options.Mesh.Redis, options.Mesh.Control) = ("127.0.0.1:6379", ControlHost.Orleans);
        options.Native.Port = 9001;
        options.Mesh.Silo = new MeshSiloOptions
        {
            Address = "0.0.0.0",
            Port = 9001,
            GatewayPort = 9001,
            ClusterId = "A b",
            Redis = "password=x",
            ProbeInterval = TimeSpan.FromMilliseconds(1),
            MissedProbes = 0,
            ResponseLimit = TimeSpan.FromHours(1),
        };

        var errors = Assert.Throws<NodeOptionsException>(() => NodeOptionsReader.Check(options)).Errors;

        string[] expected =
        [
            "Mesh:Silo:Address is \"0.0.0.0\"", "Mesh:Silo:Port and Mesh:Silo:GatewayPort are both 9001", "Mesh:Silo:Port and Native:Port are both 9001",
            "Mesh:Silo:GatewayPort and Native:Port are both 9001", "Mesh:Silo:ClusterId is \"A b\"", "Mesh:Silo:Redis cannot be used",
            "Mesh:Silo:ProbeInterval is 1ms; it must be 100ms to 30s", "Mesh:Silo:MissedProbes is \"0\"; it must be 1 to 100", "Mesh:Silo:ResponseLimit is 3600s; it must be 100ms to 300s",
        ];
        Assert.All(expected, text => Assert.Contains(errors, error => error.Contains(text, StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("Mesh:Redis is empty", "", ControlHost.Redis)]
    [InlineData("leave one of them out", "127.0.0.1:6379", ControlHost.Embedded)]
    [InlineData("names no server", "password=x", ControlHost.Auto)]
    public void A_mesh_that_cannot_be_meant_is_refused(string expected, string redis, ControlHost control)
    {
        var options = TestNode.Options("/tmp/kvmesh-none");
        (options.Mesh.Redis, options.Mesh.Control) = (redis, control);

        var error = Assert.Single(Assert.Throws<NodeOptionsException>(() => NodeOptionsReader.Check(options)).Errors);

        Assert.Contains(expected, error, StringComparison.Ordinal);
    }

    [Fact]
    public void Nodes_with_credentials_must_be_able_to_know_each_other()
    {
        using var folder = new TemporaryDirectory();
        var options = TestNode.Options(folder.Path);
        options.Mesh.Redis = "127.0.0.1:6379";
        options.Access.TokenFile = TestNode.WriteTokens(folder.Path, [new TestToken("default", "secret", "read")]);
        options.Native.Enabled = false;

        var errors = Assert.Throws<NodeOptionsException>(() => NodeOptionsReader.Check(options)).Errors;

        Assert.Contains(errors, error => error.Contains("Mesh:KeyFile", StringComparison.Ordinal));
        Assert.Contains(errors, error => error.Contains("Native:Enabled", StringComparison.Ordinal));
    }

    [Fact]
    public void The_password_of_redis_is_shown_to_nobody()
    {
        var options = TestNode.Options("/tmp/kvmesh-none");
        options.Mesh.Redis = "127.0.0.1:6379,password=hush";

        Assert.DoesNotContain(NodeOptionsReader.Check(options).Entries, entry => entry.Value.Contains("hush", StringComparison.Ordinal));
    }

    /// <summary>An answer of Redis that takes more than a second is none, and what was asked may have happened all the same.</summary>
    private static async Task IsForgottenAsync(AdminClient admin, string id)
    {
        var isUnsure = false;
        await Eventually.Holds(
            async () =>
            {
                try
                {
                    return await admin.ForgetNodeAsync(id, CancellationToken.None) || isUnsure;
                }
                catch (AdminRefusedException)
                {
                    isUnsure = true;
                    return false;
                }
            },
            "the word that the node was forgotten");
    }

    private static async Task<bool> IsWelcomeAsync(TestNode node, string? token)
    {
        try
        {
            await using var client = await KvMeshClient.ConnectAsync(
                new ClientOptions { Endpoint = $"tcp://{node.Node.Endpoints.Native}", Token = token, AllowSharedMemory = false, ConnectTimeout = Eventually.Patience }, CancellationToken.None);
            return true;
        }
        catch (KvMeshConnectException)
        {
            return false;
        }
    }

    private static async Task<string> NamesAsync(TestNode node) =>
        string.Join(',', (await node.GetAsync<ClusterStatus>(AdminRoutes.Nodes)).Nodes.Select(member => member.Id));

    private Task<TestNode> StartAsync(string id) => TestNode.StartAsync(options =>
    {
        options.Mesh.Redis = _redis.Address;
        options.Mesh.NodeId = id;

        // However busy the machine, no living node is taken for dead.
        options.Mesh.FailureTime = TimeSpan.FromSeconds(60);
    });
}
