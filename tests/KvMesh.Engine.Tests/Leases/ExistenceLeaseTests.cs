using System.Text;
using KvMesh.Engine.Leases;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Leases;

/// <summary>Existence leases are budgeted by connection and by tenant: above the budget the oldest yields, and that is counted.</summary>
public sealed class ExistenceLeaseTests : IDisposable
{
    private const int BlockBytes = 100_000;
    private const int Lifetime = 60;

    private readonly SimulatedClock _clock = new();
    private readonly TestEngine _node;

    public ExistenceLeaseTests()
    {
        // Of 16 MiB a connection may hold 0.8 MiB, 8 blocks of 100,000 bytes, and the tenant 2 MiB, 20 blocks.
        _node = new TestEngine(
            options =>
            {
                options.ArenaBytes = 16 << 20;
                options.ConnectionLeaseShare = 0.05;
                options.TenantLeaseShare = 0.125;
            },
            _clock);
        for (var index = 0; index < 60; index++)
        {
            _node.PutContent(Key(index), TestBytes.Payload(index + 1, BlockBytes));
        }
    }

    public void Dispose() => _node.Dispose();

    [Fact]
    public void The_oldest_lease_of_a_connection_yields_above_its_budget()
    {
        Lease(_node.Leases, 0, 8);
        Assert.Equal(0, Yielded);
        Lease(_node.Leases, 8, 3);
        Assert.Equal(3, Yielded);
        Assert.Equal([3, 4, 5, 6, 7, 8, 9, 10], Leased());
    }

    [Fact]
    public void The_oldest_lease_of_a_tenant_yields_above_the_share_of_the_tenant()
    {
        for (var connection = 0; connection < 4; connection++)
        {
            using var leases = _node.Engine.OpenLeases(_node.Tenant);
            Lease(leases, connection * 7, 7);
            _clock.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.Equal(8, Yielded);
        Assert.Equal(Enumerable.Range(8, 20), Leased());
        Assert.InRange(_node.Engine.Snapshot().Tenants[0].LeasedBytes, 20 * BlockBytes, 2 << 20);
    }

    [Fact]
    public void A_lease_that_has_run_out_makes_room_without_yielding()
    {
        Lease(_node.Leases, 0, 8);
        _clock.Advance(TimeSpan.FromSeconds(Lifetime + 1));
        Lease(_node.Leases, 8, 8);
        Assert.Equal(0, Yielded);
        Assert.Equal(Enumerable.Range(8, 8), Leased());
    }

    private long Yielded => _node.Tenant.Leases.Yielded;

    private static byte[] Key(int index) => Encoding.UTF8.GetBytes($"key {index}");

    private void Lease(ConnectionLeases leases, int first, int count)
    {
        for (var index = first; index < first + count; index++)
        {
            Assert.True(_node.Engine.Exists(_node.Tenant, Key(index), leases, TimeSpan.FromSeconds(Lifetime)), $"block {index} is here");
        }
    }

    private IEnumerable<int> Leased()
    {
        var now = _clock.GetUtcNow().ToUnixTimeMilliseconds();
        return Enumerable.Range(0, 60).Where(index => BlockOf(index).LeaseUntil > now);
    }

    private KvMesh.Engine.Blocks.Block BlockOf(int index)
    {
        Assert.True(_node.Engine.TryRead(_node.Tenant, Key(index), KvMesh.Engine.Blocks.ReadIntent.Inspect, out var read));
        using (read)
        {
            return read.Block;
        }
    }
}
