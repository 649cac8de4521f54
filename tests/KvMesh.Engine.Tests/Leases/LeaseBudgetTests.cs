using KvMesh.Engine.Blocks;
using KvMesh.Engine.Leases;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Leases;

/// <summary>What leases of one connection, and of all connections of a tenant, may hold.</summary>
public sealed class LeaseBudgetTests
{
    private const int MiB = 1 << 20;

    /// <summary>With its names just under a MiB of the arena.</summary>
    private const int PayloadBytes = MiB - 8192;

    private static readonly TimeSpan Long = TimeSpan.FromSeconds(20);

    [Fact]
    public void Readers_in_place_of_one_tenant_leave_room_for_puts_however_many_they_are()
    {
        using var engine = Open(new SimulatedClock());
        PutAll(engine, 24);
        ConnectionLeases[] connections = [.. Enumerable.Range(0, 12).Select(_ => engine.Engine.OpenLeases(engine.Tenant))];
        var granted = 0;
        for (var index = 0; index < 24; index++)
        {
            granted += TryLease(engine, connections[index % 12], index, out _) ? 1 : 0;
        }

        // A quarter of 32 MiB, of which twelve connections with a tenth each could take all.
        Assert.Equal(8, granted);
        var tenant = engine.Engine.Snapshot().Tenants[0];
        Assert.InRange(tenant.ReadInPlaceBytes, 7L * MiB, 8L * MiB);
        Assert.Equal(16, tenant.RefusedLeases);
        for (var index = 100; index < 200; index++)
        {
            Assert.Equal(SealStatus.Sealed, engine.PutContent(KeyOf(index), TestBytes.Payload(index, PayloadBytes)));
        }
    }

    [Fact]
    public void One_connection_reads_a_tenth_in_place_and_gets_more_when_it_has_released()
    {
        using var engine = Open(new SimulatedClock());
        PutAll(engine, 8);
        Assert.True(TryLease(engine, engine.Leases, 0, out var first));
        Assert.True(TryLease(engine, engine.Leases, 1, out _));
        Assert.True(TryLease(engine, engine.Leases, 2, out _));
        Assert.False(TryLease(engine, engine.Leases, 3, out _));

        Assert.True(engine.Leases.Release(first));
        Assert.True(TryLease(engine, engine.Leases, 3, out _));
        Assert.False(engine.Leases.Release(first));
    }

    [Fact]
    public async Task What_ends_by_release_by_time_and_with_its_connection_is_given_back()
    {
        using var engine = Open();
        PutAll(engine, 3);
        var closing = engine.Engine.OpenLeases(engine.Tenant);
        Assert.True(TryLease(engine, engine.Leases, 0, out var released));
        Assert.True(TryLease(engine, closing, 1, out _));
        Assert.True(TryLease(engine, engine.Leases, 2, out _, TimeSpan.FromMilliseconds(1)));

        engine.Leases.Release(released);
        closing.Dispose();
        closing.Dispose();

        await Eventually.Holds(() => engine.Engine.Snapshot().Tenants[0].ReadInPlaceBytes == 0, "the end of every lease");
    }

    [Fact]
    public void Above_its_budget_the_oldest_existence_lease_of_a_tenant_yields_and_is_counted()
    {
        var clock = new SimulatedClock();
        using var engine = Open(clock);
        PutAll(engine, 12);
        ConnectionLeases[] connections = [.. Enumerable.Range(0, 6).Select(_ => engine.Engine.OpenLeases(engine.Tenant))];
        for (var index = 0; index < 12; index++)
        {
            Assert.True(engine.Engine.Exists(engine.Tenant, KeyOf(index), connections[index % 6], Long));
            clock.Advance(TimeSpan.FromMilliseconds(10));
        }

        var tenant = engine.Engine.Snapshot().Tenants[0];
        Assert.InRange(tenant.LeasedBytes, 7L * MiB, 8L * MiB);
        Assert.Equal(4, tenant.YieldedLeases);

        // Those that did not yield hold their blocks while everything else passes through RAM.
        for (var index = 100; index < 200; index++)
        {
            Assert.Equal(SealStatus.Sealed, engine.PutContent(KeyOf(index), TestBytes.Payload(index, PayloadBytes)));
        }

        Assert.Equal(Enumerable.Range(4, 8), Enumerable.Range(0, 12).Where(index => engine.Get(KeyOf(index)) is not null));
    }

    private static TestEngine Open(TimeProvider? time = null) => new(options => options.MaxBlocks = 4096, time);

    private static byte[] KeyOf(int index) => BitConverter.GetBytes(index);

    private static void PutAll(TestEngine engine, int count)
    {
        for (var index = 0; index < count; index++)
        {
            Assert.Equal(SealStatus.Sealed, engine.PutContent(KeyOf(index), TestBytes.Payload(index, PayloadBytes)));
        }
    }

    private static bool TryLease(TestEngine engine, ConnectionLeases leases, int index, out long lease, TimeSpan? time = null)
    {
        Assert.True(engine.Engine.TryRead(engine.Tenant, KeyOf(index), ReadIntent.Use, out var read));
        lease = leases.TakeResidence(read, time ?? Long);
        return lease != 0;
    }
}
