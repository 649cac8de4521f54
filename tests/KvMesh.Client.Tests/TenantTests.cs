using KvMesh.TestKit;

namespace KvMesh.Client.Tests;

/// <summary>The tenant and the rights of a connection come from its token and from nothing else.</summary>
public sealed class TenantTests
{
    private static readonly string[] AllRights = ["read", "write", "remove", "admin"];

    public static TheoryData<ClientTransport, bool> All => Transports.All;

    [Theory]
    [MemberData(nameof(All))]
    public async Task No_tenant_sees_the_blocks_of_another(ClientTransport transport, bool blocking)
    {
        await using var node = new NodeFixture(tokens: [("red", "r-token", AllRights), ("blue", "b-token", AllRights)]);
        var red = await node.ConnectAsync(transport, blocking, options => options with { Token = "r-token" });
        var blue = await node.ConnectAsync(transport, blocking, options => options with { Token = "b-token" });
        Assert.Equal(("red", "blue"), (red.Tenant, blue.Tenant));
        var hash = TestBytes.Hash(1, 0);
        var payload = TestBytes.Payload(1, 100_000);
        Assert.Equal(PutStatus.Stored, await red.PutAsync(NodeFixture.Scope, hash, default, payload, default));

        var destination = new byte[100_000];
        Assert.Equal(GetStatus.Miss, (await blue.GetAsync(NodeFixture.Scope, hash, destination, default)).Status);
        Assert.Equal(GetStatus.Miss, (await blue.GetRangeAsync(NodeFixture.Scope, hash, 0, destination, default)).Status);
        Assert.Null(await blue.LeaseAsync(NodeFixture.Scope, hash, default));
        Assert.Equal(0, await blue.ExistsAsync(NodeFixture.Scope, hash, new bool[1], default));
        Assert.Equal(0, (await blue.MatchPrefixAsync(NodeFixture.Scope, hash, TimeSpan.FromSeconds(1), default)).Blocks);
        Assert.False(await blue.RemoveAsync(NodeFixture.Scope, hash, default));
        Assert.DoesNotContain("red", await blue.StatsAsync(default) ?? "", StringComparison.Ordinal);

        // The same key of another tenant is another block.
        var other = TestBytes.Payload(2, 100_000);
        Assert.Equal(PutStatus.Stored, await blue.PutAsync(NodeFixture.Scope, hash, default, other, default));
        Assert.True((await red.GetAsync(NodeFixture.Scope, hash, destination, default)).IsHit);
        Assert.Equal(payload, destination);
    }

    [Fact]
    public async Task Tenants_that_share_an_arena_may_not_map_it()
    {
        await using var node = new NodeFixture(
            options =>
            {
                foreach (var tenant in options.Tenants)
                {
                    tenant.IsolationGroup = "shared";
                }
            },
            tokens: [("red", "r-token", AllRights), ("blue", "b-token", AllRights)]);
        var red = await node.ConnectAsync(ClientTransport.SharedMemory, change: options => options with { Token = "r-token" });
        Assert.Equal(ClientTransport.Unix, red.Transport);
        Assert.Equal(PutStatus.Stored, await red.PutAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), default, TestBytes.Payload(1, 100_000), default));
        using var block = await red.LeaseAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), default);
        Assert.False(block!.IsInPlace);
    }

    [Theory]
    [MemberData(nameof(All))]
    public async Task A_token_can_do_what_its_rights_say_and_no_more(ClientTransport transport, bool blocking)
    {
        await using var node = new NodeFixture(tokens: [("red", "reader", ["read"]), ("red", "writer", ["write"])]);
        var reader = await node.ConnectAsync(transport == ClientTransport.SharedMemory ? ClientTransport.Unix : transport, blocking, options => options with { Token = "reader" });
        var writer = await node.ConnectAsync(transport == ClientTransport.SharedMemory ? ClientTransport.Unix : transport, blocking, options => options with { Token = "writer" });
        var hash = TestBytes.Hash(1, 0);
        var payload = TestBytes.Payload(1, 100_000);

        Assert.Equal(PutStatus.Failed, await reader.PutAsync(NodeFixture.Scope, hash, default, payload, default));
        Assert.Equal(PutStatus.Stored, await writer.PutAsync(NodeFixture.Scope, hash, default, payload, default));
        Assert.Equal(GetStatus.Failed, (await writer.GetAsync(NodeFixture.Scope, hash, new byte[100_000], default)).Status);
        Assert.True((await reader.GetAsync(NodeFixture.Scope, hash, new byte[100_000], default)).IsHit);
        Assert.False(await reader.RemoveAsync(NodeFixture.Scope, hash, default));
        Assert.False(await writer.RemoveAsync(NodeFixture.Scope, hash, default));
        Assert.True((await reader.GetAsync(NodeFixture.Scope, hash, new byte[100_000], default)).IsHit);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("wrong")]
    public async Task A_wrong_token_is_refused_with_a_reason(string? token)
    {
        await using var node = new NodeFixture(tokens: [("red", "r-token", AllRights)]);
        var refusal = await Assert.ThrowsAsync<KvMeshConnectException>(() => node.ConnectAsync(change: options => options with { Token = token }));
        Assert.Contains("token", refusal.Message, StringComparison.Ordinal);
    }
}
