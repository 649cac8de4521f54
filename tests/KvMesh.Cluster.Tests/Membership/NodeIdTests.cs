using System.Collections.Immutable;
using KvMesh.Cluster.Membership;

namespace KvMesh.Cluster.Tests.Membership;

public sealed class NodeIdTests
{
    [Theory]
    [InlineData("a")]
    [InlineData("node-1.rack_2")]
    [InlineData("7")]
    public void Takes_a_name(string text) => Assert.Equal(text, NodeId.Parse(text).ToString());

    [Theory]
    [InlineData("", "empty")]
    [InlineData("Node", "'N'")]
    [InlineData("-a", "'-'")]
    [InlineData("a b", "' '")]
    [InlineData("a\0b", "'\0'")]
    public void Refuses_what_is_no_name_and_says_why(string text, string reason)
    {
        Assert.False(NodeId.TryParse(text, out _, out var error));
        Assert.Contains(reason, error, StringComparison.Ordinal);
    }

    [Fact]
    public void Refuses_65_characters()
    {
        Assert.False(NodeId.TryParse(new string('a', 65), out _, out var error));
        Assert.Contains("65", error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_view_is_in_the_same_order_everywhere()
    {
        ImmutableArray<NodeRecord> nodes = [.. new[] { "b", "a", "c" }.Select(id => new NodeRecord { Id = NodeId.Parse(id), NativeAddress = "" })];

        Assert.Equal("a,b,c", string.Join(',', new ClusterView(1, nodes, isFrozen: false).Nodes.Select(node => node.Id)));
    }
}
