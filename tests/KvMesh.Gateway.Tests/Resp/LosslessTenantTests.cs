using System.Text;
using KvMesh.Engine;
using KvMesh.Engine.Blocks;
using KvMesh.TestKit;
using KvMesh.TestKit.FarTiers;

namespace KvMesh.Gateway.Tests.Resp;

/// <summary>Tenants whose clients cannot say that they want every bit.</summary>
public sealed class LosslessTenantTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_tenant_of_lossless_reads_misses_what_has_lost_something(bool losslessReads)
    {
        using var door = new RespFixture(options => options.Tenants.Add(new TenantOptions { Name = Tenant.DefaultName, LosslessReads = losslessReads }));
        var (key, payload) = ("a-key"u8.ToArray(), "0123456789"u8.ToArray());
        var below = new MemoryTier();
        below.StoreLossy(key, payload, RoundingCoder.Loss);
        door.Engine.Engine.AttachTier(below);
        Assert.True(door.Engine.Engine.TryReadAnywhere(door.Engine.Tenant, key, out var read));
        read.Dispose();
        door.Engine.PutContent("another"u8, payload);

        var session = door.Open();
        Assert.Equal(losslessReads ? "$-1\r\n" : "$10\r\n0123456789\r\n", RespFixture.Ask(session, Bulk("GET", "a-key")));
        Assert.Equal(losslessReads ? ":0\r\n" : ":1\r\n", RespFixture.Ask(session, Bulk("EXISTS", "a-key")));
        Assert.Equal("$10\r\n0123456789\r\n", RespFixture.Ask(session, Bulk("GET", "another")));
    }

    private static string Bulk(params string[] words)
    {
        var text = new StringBuilder($"*{words.Length}\r\n");
        foreach (var word in words)
        {
            text.Append($"${word.Length}\r\n{word}\r\n");
        }

        return text.ToString();
    }
}
