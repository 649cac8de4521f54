using KvMesh.Cluster.Demand;
using KvMesh.Protocol.Keys;
using KvMesh.TestKit;

namespace KvMesh.Cluster.Tests.Demand;

public sealed class DemandTableTests
{
    private readonly SimulatedClock _clock = new();

    [Fact]
    public void A_steady_rate_is_seen_as_it_is()
    {
        var table = new DemandTable(64, TimeSpan.FromSeconds(30), _clock);
        for (var request = 0; request < 3_000; request++)
        {
            table.Note("t", new TestChain(1), 4);
            _clock.Advance(TimeSpan.FromMilliseconds(100));
        }

        var wanted = Assert.Single(table.Top(10));
        Assert.Equal(4, wanted.Keys.Count);
        Assert.InRange(wanted.RequestsPerSecond, 9, 11);
    }

    [Fact]
    public void Demand_is_forgotten_with_time()
    {
        var table = new DemandTable(64, TimeSpan.FromSeconds(30), _clock);
        table.Note("t", new TestChain(1), 1);
        var before = table.Top(1)[0].RequestsPerSecond;

        _clock.Advance(TimeSpan.FromSeconds(30));

        Assert.Equal(before / 2, table.Top(1)[0].RequestsPerSecond, 6);
    }

    [Fact]
    public void The_prefix_that_different_chains_share_is_found()
    {
        var table = new DemandTable(256, TimeSpan.FromSeconds(30), _clock);
        for (var request = 0; request < 100; request++)
        {
            table.Note("t", new TestChain(request, shared: 8), 20);
        }

        var hottest = table.Top(1)[0];
        Assert.Equal(8, hottest.Keys.Count);
    }

    [Fact]
    public void A_prefix_is_not_listed_beside_the_longer_one_that_stands_for_it()
    {
        var table = new DemandTable(64, TimeSpan.FromSeconds(30), _clock);
        for (var request = 0; request < 10; request++)
        {
            table.Note("t", new TestChain(1), 16);
        }

        Assert.Equal(16, Assert.Single(table.Top(10)).Keys.Count);
    }

    [Fact]
    public void The_most_wanted_survive_a_flood_of_new_ones()
    {
        var table = new DemandTable(32, TimeSpan.FromMinutes(10), _clock);
        for (var request = 0; request < 10_000; request++)
        {
            table.Note("t", request % 4 == 0 ? new TestChain(-1) : new TestChain(request), 1);
        }

        var hottest = table.Top(1)[0];
        Assert.Equal(new TestChain(-1).CopyKeyAt(0).ToArray(), hottest.Keys[0].ToArray());
    }

    [Fact]
    public void Years_of_uptime_overflow_nothing()
    {
        var table = new DemandTable(8, TimeSpan.FromSeconds(1), _clock);
        for (var day = 0; day < 2_000; day++)
        {
            table.Note("t", new TestChain(day % 20), 2);
            _clock.Advance(TimeSpan.FromDays(1));
        }

        table.Note("t", new TestChain(7), 2);

        var wanted = table.Top(1)[0];
        Assert.True(double.IsFinite(wanted.RequestsPerSecond) && wanted.RequestsPerSecond > 0);
    }

    /// <summary>Chains of one source that share their first blocks with every other.</summary>
    private readonly struct TestChain(int id, int shared = 0) : IRequestedChain
    {
        public int KeyBytes => 8;

        public KeyDigest DigestAt(int index) => new((ulong)IdAt(index), (ulong)index);

        public ReadOnlyMemory<byte> CopyKeyAt(int index) => BitConverter.GetBytes(((long)IdAt(index) << 32) + index);

        public long PayloadBytesOf(int blocks) => blocks * 100L;

        private int IdAt(int index) => index < shared ? int.MaxValue : id;
    }
}
