using KvMesh.Remote.Resilience;

namespace KvMesh.Remote.Tests.Resilience;

public sealed class LatencyWindowTests
{
    [Fact]
    public void Says_nothing_until_it_knows_enough()
    {
        var window = new LatencyWindow();
        for (var sample = 0; sample < 15; sample++)
        {
            window.Add(0, TimeSpan.FromMilliseconds(1));
        }

        Assert.Null(window.P95(0));
        window.Add(0, TimeSpan.FromMilliseconds(1));
        Assert.Equal(TimeSpan.FromMilliseconds(1), window.P95(0));
    }

    [Fact]
    public void Gives_the_95th_percentile_of_the_last_ones_of_that_size()
    {
        var window = new LatencyWindow();
        for (var sample = 0; sample < 640; sample++)
        {
            window.Add(1 << 20, TimeSpan.FromMilliseconds(sample % 64));
            window.Add(64 << 20, TimeSpan.FromMilliseconds(1000));
        }

        Assert.Equal(TimeSpan.FromMilliseconds(60), window.P95(1 << 20));
        Assert.Equal(TimeSpan.FromMilliseconds(1000), window.P95(64 << 20));
        Assert.Null(window.P95(0));
    }
}
