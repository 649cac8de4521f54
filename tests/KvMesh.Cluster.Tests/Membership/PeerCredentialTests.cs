using System.Text;
using KvMesh.Cluster.Membership;

namespace KvMesh.Cluster.Tests.Membership;

public sealed class PeerCredentialTests
{
    private static readonly NodeId A = NodeId.Parse("a");
    private static readonly NodeId B = NodeId.Parse("b");
    private static readonly byte[] Key = [.. Enumerable.Range(0, 32).Select(i => (byte)i)];

    [Fact]
    public void A_token_by_the_key_opens_the_node_that_it_was_made_for_and_no_other()
    {
        var credential = PeerCredential.FromKey(Key, "fleet");
        var token = Encoding.ASCII.GetBytes(credential.TokenFor(B)!);

        Assert.True(credential.Admits(token, B));
        Assert.False(credential.Admits(token, A));
        Assert.False(credential.Admits(token.AsSpan(1), B));
        Assert.False(credential.Admits([], B));
    }

    [Fact]
    public void Another_key_and_another_cluster_open_nothing()
    {
        var credential = PeerCredential.FromKey(Key, "fleet");
        byte[] other = [.. Key.Select(value => (byte)(value + 1))];

        Assert.False(credential.Admits(Encoding.ASCII.GetBytes(PeerCredential.FromKey(other, "fleet").TokenFor(B)!), B));
        Assert.False(credential.Admits(Encoding.ASCII.GetBytes(PeerCredential.FromKey(Key, "other").TokenFor(B)!), B));
    }

    [Fact]
    public void A_plain_token_is_sent_as_it_is_and_none_is_none()
    {
        Assert.Equal("secret", PeerCredential.FromToken("secret").TokenFor(A));
        Assert.Null(PeerCredential.None.TokenFor(A));
        Assert.False(PeerCredential.None.Admits([], A));
        Assert.False(PeerCredential.FromToken("secret").Admits("secret"u8, A));
    }

    [Fact]
    public void A_short_key_is_refused() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => PeerCredential.FromKey(Key.AsSpan(0, 31), "fleet"));
}
