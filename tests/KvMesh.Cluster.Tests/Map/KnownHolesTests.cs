using KvMesh.Cluster.Map;
using KvMesh.TestKit;

namespace KvMesh.Cluster.Tests.Map;

public sealed class KnownHolesTests
{
    private readonly KnownHoles _holes = new();
    private readonly byte[] _chain = [.. Enumerable.Range(0, 200).SelectMany(block => TestBytes.Hash(1, block))];

    [Fact]
    public void Finds_the_holes_of_a_chain_in_order_and_of_its_tenant_only()
    {
        Assert.True(_holes.IsEmpty);
        Assert.True(_holes.Note(1, Hash(150)));
        Assert.True(_holes.Note(1, Hash(97)));
        Assert.False(_holes.Note(1, Hash(97)));

        Assert.Equal(97, _holes.Next(1, _chain, 0));
        Assert.Equal(97, _holes.Next(1, _chain, 97));
        Assert.Equal(150, _holes.Next(1, _chain, 98));
        Assert.Equal(200, _holes.Next(1, _chain, 151));
        Assert.Equal(200, _holes.Next(2, _chain, 0));
    }

    [Fact]
    public void What_is_held_again_is_forgotten()
    {
        _holes.Note(1, Hash(97));
        _holes.Forget(1, Hash(98));
        Assert.False(_holes.IsEmpty);
        _holes.Forget(1, Hash(97));

        Assert.True(_holes.IsEmpty);
        Assert.Equal(200, _holes.Next(1, _chain, 0));
    }

    [Fact]
    public void However_many_are_noted_the_latest_is_known()
    {
        for (var block = 0; block < 100_000; block++)
        {
            _holes.Note(1, TestBytes.Hash(2, block));
        }

        _holes.Note(1, Hash(5));
        Assert.Equal(5, _holes.Next(1, _chain, 0));
    }

    private static byte[] Hash(int block) => TestBytes.Hash(1, block);
}
