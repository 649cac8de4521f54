using KvMesh.Engine.Retention;

namespace KvMesh.Engine.Tests.Retention;

public sealed class GhostListTests
{
    [Fact]
    public void Forgets_the_oldest_first()
    {
        var ghosts = new GhostList();
        for (var fingerprint = 0ul; fingerprint < 10; fingerprint++)
        {
            ghosts.Add(fingerprint);
        }

        Assert.True(ghosts.Remove(9));
        Assert.False(ghosts.Remove(9));
        ghosts.Trim(4);

        Assert.Equal(4, ghosts.Count);
        Assert.False(ghosts.Remove(4));
        Assert.True(ghosts.Remove(5));
    }

    [Fact]
    public void Who_left_again_is_as_young_as_its_last_leaving()
    {
        var ghosts = new GhostList();
        ghosts.Add(1);
        ghosts.Add(2);
        ghosts.Add(1);
        ghosts.Trim(1);

        Assert.True(ghosts.Remove(1));
        Assert.False(ghosts.Remove(2));
    }

    [Fact]
    public void Those_that_come_and_go_take_no_place()
    {
        var ghosts = new GhostList();
        ghosts.Add(1);
        for (var fingerprint = 2ul; fingerprint < 2000; fingerprint++)
        {
            ghosts.Add(fingerprint);
            Assert.True(ghosts.Remove(fingerprint));
        }

        Assert.Equal(1, ghosts.Count);
        Assert.InRange(ghosts.Places, 1, 100);
        Assert.True(ghosts.Remove(1));
    }
}
