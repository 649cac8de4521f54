using KvMesh.Cluster.Membership;
using KvMesh.Server.Mesh;

namespace KvMesh.Server.Tests;

public sealed class CapacityNewsTests
{
    [Theory]
    [InlineData(0, 0, false)]
    [InlineData(0, 1, true)]
    [InlineData(7, 0, true)]
    [InlineData(7, 3, true)]
    [InlineData(7, 14, false)]
    [InlineData(7, 15, true)]
    [InlineData(500, 550, false)]
    [InlineData(500, 551, true)]
    [InlineData(500, 449, true)]
    public void The_others_hear_of_a_tier_that_looks_another_way_now(long told, long now, bool isNews) =>
        Assert.Equal(isNews, MeshHost.IsNews(new TierCapacity("host", 1000, told), new TierCapacity("host", 1000, now)));
}
