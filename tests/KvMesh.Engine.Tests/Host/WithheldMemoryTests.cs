using KvMesh.Engine.Arena;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Host;
using KvMesh.Engine.Leases;
using KvMesh.Engine.Retention;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Host;

/// <summary>An arena whose pages cannot all be had, because the memory file system filled up after the start.</summary>
public sealed class WithheldMemoryTests : IDisposable
{
    private const int MiB = 1 << 20;
    private const int ArenaBytes = 64 * MiB;

    private readonly TemporaryDirectory _directory = new("/dev/shm");
    private readonly SimulatedClock _clock = new();
    private readonly ArenaMapping _arena;
    private readonly HostTier _host;
    private readonly Tenant _tenant;
    private bool _isFull;

    public WithheldMemoryTests()
    {
        _arena = ArenaMapping.Open(Path.Combine(_directory.Path, "test.arena"), _directory.Path, ArenaBytes, descriptorCount: 1024, () => _isFull);
        _host = new HostTier("group", _arena, maxBlocks: 0, longestLease: TimeSpan.Zero, new RequestClock(_clock), _clock);
        _tenant = new Tenant("tenant", _host, ArenaBytes, new LruPolicy<Block>(), new LeaseBudget(0, 0), new ChainLedger(_ => null));
        _host.Add(_tenant);
    }

    public void Dispose()
    {
        _host.Dispose();
        _directory.Dispose();
    }

    [Fact]
    public void What_no_memory_can_be_had_for_is_handed_to_nobody_and_what_has_some_goes_on()
    {
        var taken = TakeAll(20);
        Assert.Equal(20, taken.Count);
        _isFull = true;
        taken.AddRange(TakeAll(40));

        // The rest of the chunk that was begun, at most; everything else counts as taken.
        Assert.InRange(taken.Count, 20, 23);
        var snapshot = _host.Snapshot(0);
        Assert.InRange(snapshot.WithheldBytes, ArenaBytes - (24L * MiB), ArenaBytes - (20L * MiB));
        Assert.InRange(snapshot.AllocatedBytes, ArenaBytes - (3L * MiB), ArenaBytes);

        // Whoever makes room makes it for the next.
        for (var round = 0; round < 100; round++)
        {
            _host.Free(_tenant, taken[round % 20], wasPublished: false);
            Assert.True(_host.TryTake(_tenant, MiB, out var again), $"round {round}");
            taken[round % 20] = again;
            Write(again);
        }
    }

    [Fact]
    public void It_is_tried_again_after_a_while()
    {
        _isFull = true;
        Assert.False(_host.TryTake(_tenant, 4 * MiB, out _));
        _isFull = false;
        Assert.False(_host.TryTake(_tenant, 4 * MiB, out _));

        _clock.Advance(TimeSpan.FromSeconds(10));

        Assert.True(_host.TryTake(_tenant, 4 * MiB, out var extent));
        Write(extent);
        Assert.Equal(0, _host.Snapshot(0).WithheldBytes);
        Assert.Equal(4 * MiB, _host.Snapshot(0).AllocatedBytes);
        _host.Free(_tenant, extent, wasPublished: false);
        Assert.Equal(64, TakeAll(64).Count);
    }

    [Fact]
    public void What_was_populated_at_the_start_needs_nothing_more()
    {
        Assert.True(_arena.TryPopulate(0, ArenaBytes, out _));
        _isFull = true;

        var taken = TakeAll(64);
        Assert.Equal(64, taken.Count);
        taken.ForEach(extent => Write(extent));
        Assert.Equal(0, _host.Snapshot(0).WithheldBytes);
    }

    private List<Extent> TakeAll(int most)
    {
        List<Extent> taken = [];
        while (taken.Count < most && _host.TryTake(_tenant, MiB, out var extent))
        {
            taken.Add(extent);
        }

        return taken;
    }

    private void Write(in Extent extent) => _arena.Data(extent.Offset, extent.Bytes).Fill(7);
}
