using System.Text;
using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Removals;
using KvMesh.TestKit;

namespace KvMesh.Cluster.Tests.Membership;

/// <summary>Texts in a store that others write to as well: a reader takes them or says no.</summary>
public sealed class NodeRecordFuzzTests
{
    [Fact]
    public void Damaged_records_are_read_or_refused()
    {
        var text = Encoding.UTF8.GetBytes(NodeRecordJson.Write(new NodeRecord
        {
            Id = NodeId.Parse("node-1"),
            NativeAddress = "127.0.0.1:8601",
            HttpAddress = "http://127.0.0.1:8600",
            Incarnation = 3,
            Tiers = [new TierCapacity("host", 1 << 30, 5)],
        }));
        Assert.NotNull(NodeRecordJson.TryRead(text));
        Fuzz.Run(5_000, random =>
        {
            if (NodeRecordJson.TryRead(Fuzz.Damage(random, text)) is { } record)
            {
                Assert.True(NodeId.TryParse(record.Id.Value, out _, out _), $"'{record.Id.Value}' is no id");
                Assert.NotNull(record.NativeAddress);
            }
        });
    }

    [Fact]
    public void Damaged_names_of_purges_are_read_or_refused()
    {
        var text = new PurgeScope("red", "llama", null).ToText();
        Assert.True(PurgeScope.TryParse(text, out _));
        Fuzz.Run(5_000, random =>
        {
            if (PurgeScope.TryParse(Encoding.Latin1.GetString(Fuzz.Damage(random, Encoding.UTF8.GetBytes(text))), out var scope))
            {
                Assert.NotNull(scope.Tenant);
            }
        });
    }
}
