using KvMesh.Cluster.Membership;

namespace KvMesh.Cluster.Tests.Membership;

public sealed class BeatPaceTests
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(500);

    [Fact]
    public void Hints_wait_longer_in_a_larger_cluster_and_never_longer_than_a_beat()
    {
        var pace = new BeatPace(Interval, new Random(1));
        var floors = new[] { 1, 10, 100, 500, 1000, 10_000 }.Select(members => pace.After(members, TimeSpan.Zero, 0).Least).ToArray();

        Assert.Equal(floors[..4].Order(), floors[..4]);
        Assert.True(floors[0] < TimeSpan.FromMilliseconds(105), $"It is {floors[0]}.");
        Assert.True(floors[4] >= Interval * 0.9, $"It is {floors[4]}.");
        Assert.All(floors, floor => Assert.True(floor <= Interval * 1.1));
    }

    [Fact]
    public void Members_that_beat_at_one_moment_drift_apart()
    {
        var paces = Enumerable.Range(0, 1000).Select(seed => new BeatPace(Interval, new Random(seed))).ToArray();
        var next = new TimeSpan[paces.Length];
        for (var beat = 0; beat < 10; beat++)
        {
            for (var member = 0; member < paces.Length; member++)
            {
                var rest = paces[member].After(1000, TimeSpan.Zero, 0).Most;
                Assert.InRange(rest, Interval * 0.9, Interval * 1.1);
                next[member] += rest;
            }
        }

        var slots = next.GroupBy(at => (int)(at.TotalMilliseconds / 10)).Max(slot => slot.Count());
        Assert.True(slots < 100, $"{slots} of 1,000 members beat in one hundredth of a second.");
    }

    [Fact]
    public void A_slow_answer_makes_for_a_longer_rest()
    {
        var pace = new BeatPace(Interval, new Random(1));

        Assert.True(pace.After(3, TimeSpan.FromMilliseconds(400), 0).Least >= TimeSpan.FromMilliseconds(400));
        Assert.InRange(pace.After(3, TimeSpan.FromSeconds(20), 0).Most, Interval * 0.9, Interval * 1.1);
    }

    [Fact]
    public void A_store_that_refuses_is_asked_less_often_and_by_each_at_another_time()
    {
        var rests = Enumerable.Range(0, 200).Select(seed => new BeatPace(Interval, new Random(seed)).After(1000, TimeSpan.Zero, 7)).ToArray();

        Assert.All(rests, rest => Assert.InRange(rest.Least, Interval * 2.25, Interval * 3.75));
        Assert.All(rests, rest => Assert.Equal(rest.Least, rest.Most));
        Assert.True(rests.Select(rest => rest.Least).Distinct().Count() > 150);
        Assert.InRange(new BeatPace(Interval, new Random(1)).After(1000, TimeSpan.Zero, 1).Least, Interval * 1.5, Interval * 2.5);
    }
}
