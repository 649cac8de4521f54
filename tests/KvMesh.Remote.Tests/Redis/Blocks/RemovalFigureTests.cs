using System.Diagnostics.Metrics;
using KvMesh.Remote.Redis.Blocks;
using KvMesh.TestKit;

namespace KvMesh.Remote.Tests.Redis.Blocks;

/// <summary>What the published figures say of removals and purges on their way to a real redis-server.</summary>
public sealed class RemovalFigureTests : IAsyncLifetime
{
    private TierServer _server = null!;

    public async Task InitializeAsync() => _server = await TierServer.StartAsync();

    public async Task DisposeAsync() => await _server.DisposeAsync();

    [Fact]
    public async Task Removals_and_purges_that_reached_Redis_are_counted_each_for_itself()
    {
        using var node = new TierNode(_server.Address);
        using var figures = new Figures(node);
        for (var chain = 1; chain <= 3; chain++)
        {
            Assert.True(node.Store(TierNode.Key(chain), [1]));
        }

        Assert.True(node.Engine.Remove(node.Tenant, TierNode.Key(1)));
        Assert.True(node.Engine.Remove(node.Tenant, TierNode.Key(2)));
        await figures.BecomeAsync(removed: 2, purges: 0, pending: 0);
        Assert.Single(await HeadsAsync());

        node.Engine.Purge(node.Tenant, "model", null);
        await figures.BecomeAsync(removed: 2, purges: 1, pending: 0);

        // The copy is void, and whoever finds it says so and takes it away.
        using var other = new TierNode(_server.Address);
        using var others = new Figures(other);
        Assert.Null(other.Read(TierNode.Key(3)));
        Assert.Equal(1, others.Read("kvmesh.redis.reads", "purged"));
        await others.BecomeAsync(removed: 1, purges: 0, pending: 0);
        Assert.Empty(await HeadsAsync());
    }

    [Fact]
    public async Task What_Redis_could_not_be_told_is_pending_until_it_was()
    {
        using var node = new TierNode(_server.Address, TierNode.Impatient);
        using var figures = new Figures(node);
        await Eventually.Holds(() => node.Store(TierNode.Key(1), [1]) && node.Store(TierNode.Key(2), [1]), "two blocks in Redis");
        await _server.KillAsync();

        Assert.True(node.Engine.Remove(node.Tenant, TierNode.Key(1)));
        node.Engine.Purge(node.Tenant, "model", "1");
        await figures.BecomeAsync(removed: 0, purges: 0, pending: 2);
        Assert.Null(node.Read(TierNode.Key(1)));
        Assert.Null(node.Read(TierNode.Key(2)));

        await _server.BeginAsync();
        await figures.BecomeAsync(removed: 1, purges: 1, pending: 0);
    }

    [Fact]
    public async Task Too_many_removals_to_name_become_one_purge_of_each_tenant()
    {
        using var node = new TierNode(_server.Address, TierNode.Impatient);
        using var figures = new Figures(node);
        await Eventually.Holds(() => node.Store(TierNode.Key(1), [1]), "a block in Redis");

        await _server.KillAsync();
        await Eventually.Holds(
            () =>
            {
                node.Engine.ExistsAnywhere(node.Tenant, TierNode.Key(2), node.Test.Leases, TimeSpan.Zero);
                return !node.Tier.IsUp;
            },
            "the dead server noticed");

        for (var index = 0; index <= RedisRemovals.MaxPending; index++)
        {
            node.Tier.Forget(node.Tenant, BitConverter.GetBytes(index));
        }

        Assert.Equal(RedisRemovals.MaxPending, figures.Read("kvmesh.redis.removals.pending"));

        await _server.BeginAsync();
        await figures.BecomeAsync(removed: 0, purges: 1, pending: 0);
    }

    private async Task<string[]> HeadsAsync() => [.. (await _server.KeysAsync()).Where(key => key.EndsWith("}:0", StringComparison.Ordinal))];

    /// <summary>The figures of a tier as an exporter reads them.</summary>
    private sealed class Figures : IDisposable
    {
        private readonly Meter _meter = new("test");
        private readonly MeterListener _listener = new();
        private readonly Dictionary<string, long> _values = [];

        public Figures(TierNode node)
        {
            node.Tier.Publish(_meter);
            _listener.InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter == _meter)
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            };
            _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => _values[NameOf(instrument.Name, tags)] = value);
            _listener.Start();
        }

        public long Read(string name, string tag = "")
        {
            _values.Clear();
            _listener.RecordObservableInstruments();
            return _values[tag.Length == 0 ? name : $"{name} {tag}"];
        }

        public Task BecomeAsync(long removed, long purges, long pending)
        {
            (long, long, long) seen = default;
            return Eventually.Holds(
                () => Task.FromResult((seen = (Read("kvmesh.redis.removed"), Read("kvmesh.redis.purges"), Read("kvmesh.redis.removals.pending"))) == (removed, purges, pending)),
                () => $"removed, purges and pending {(removed, purges, pending)}; they are {seen}");
        }

        public void Dispose()
        {
            _listener.Dispose();
            _meter.Dispose();
        }

        private static string NameOf(string instrument, ReadOnlySpan<KeyValuePair<string, object?>> tags) =>
            tags.IsEmpty ? instrument : $"{instrument} {tags[0].Value}";
    }
}
