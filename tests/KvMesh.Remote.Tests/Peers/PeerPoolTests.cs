using KvMesh.Cluster.Membership;
using KvMesh.Engine.FarTiers;
using KvMesh.Remote.Peers;
using KvMesh.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Remote.Tests.Peers;

/// <summary>Who gets one of the connections to a node.</summary>
public sealed class PeerPoolTests : IDisposable
{
    private const string Tenant = "default";

    private readonly ScriptedPeer _peer = new(ScriptedPeer.Hang);
    private readonly PeerPool _pool;

    public PeerPoolTests()
    {
        var record = new NodeRecord { Id = NodeId.Parse("other"), Incarnation = 1, NativeAddress = _peer.Endpoint.ToString() };
        var options = new PeerOptions { Connections = 4, MaxWaiters = 1, ConnectTimeout = Eventually.Patience };
        _pool = new PeerPool(
            record, _peer.Endpoint, new PeerContext(NodeId.Parse("self"), PeerCredential.None, options, "", TimeProvider.System, NullLogger.Instance));
    }

    public void Dispose()
    {
        _pool.Dispose();
        _peer.Dispose();
    }

    [Fact]
    public void Orders_take_half_of_the_connections_and_leave_the_rest_to_readers()
    {
        var (first, second) = (Rent(FetchPriority.Background), Rent(FetchPriority.Background));
        Assert.NotNull(first);
        Assert.NotNull(second);
        Assert.Null(Rent(FetchPriority.Background));

        var readers = new[] { Rent(FetchPriority.Foreground), Rent(FetchPriority.Foreground) };
        Assert.All(readers, Assert.NotNull);
        Assert.Null(Rent(FetchPriority.Foreground));
        Assert.Equal(4, _pool.Busy);

        // What an order gives back another order may have, and no more than before.
        _pool.Return(first);
        var third = Rent(FetchPriority.Background);
        Assert.NotNull(third);
        Assert.Null(Rent(FetchPriority.Background));
        foreach (var connection in readers.Append(second).Append(third))
        {
            _pool.Return(connection!);
        }

        Assert.Equal(0, _pool.Busy);
    }

    [Fact]
    public void Readers_may_take_every_connection_and_orders_wait_for_what_they_give_back()
    {
        var readers = Enumerable.Range(0, 4).Select(_ => Rent(FetchPriority.Foreground)).ToArray();
        Assert.All(readers, Assert.NotNull);
        Assert.Null(Rent(FetchPriority.Background));

        _pool.Return(readers[0]!);
        var order = Rent(FetchPriority.Background);
        Assert.NotNull(order);
        foreach (var connection in readers.Skip(1).Append(order))
        {
            _pool.Return(connection!);
        }
    }

    [Fact]
    public async Task Orders_that_wait_hold_no_place_in_the_queue_of_readers()
    {
        var orders = new[] { Rent(FetchPriority.Background), Rent(FetchPriority.Background) };
        var readers = new[] { Rent(FetchPriority.Foreground), Rent(FetchPriority.Foreground) };
        var late = Eventually.Run(() => Rent(FetchPriority.Background, Eventually.Patience));

        // The queue has one place. An order that waits for its half has not taken it.
        var reader = Eventually.Run(() => Rent(FetchPriority.Foreground, Eventually.Patience));
        _pool.Return(readers[0]!);
        var served = await reader.Within("the connection of the reader");
        Assert.NotNull(served);
        Assert.False(late.IsCompleted, "an order got a connection beyond its half");

        _pool.Return(orders[0]!);
        var order = await late.Within("the connection of the order");
        Assert.NotNull(order);
        foreach (var connection in new[] { orders[1], readers[1], served, order })
        {
            _pool.Return(connection!);
        }
    }

    [Fact]
    public async Task What_orders_may_take_stays_the_same_however_connections_change_hands()
    {
        foreach (var connection in Enumerable.Range(0, 4).Select(_ => Rent(FetchPriority.Foreground)!).ToArray())
        {
            Assert.True(connection.TryPing(Eventually.Patience, TimeProvider.System));
            _pool.Return(connection);
        }

        const int Times = 100_000;
        var users = Enumerable.Range(0, 4).Select(user => Eventually.Run(() => Use(user % 2 == 0 ? FetchPriority.Foreground : FetchPriority.Background)));
        await Task.WhenAll(users).Within("everybody's turns");

        var orders = new[] { Rent(FetchPriority.Background), Rent(FetchPriority.Background) };
        Assert.All(orders, Assert.NotNull);
        Assert.Null(Rent(FetchPriority.Background));
        foreach (var order in orders)
        {
            _pool.Return(order!);
        }

        void Use(FetchPriority priority)
        {
            for (var time = 0; time < Times; time++)
            {
                if (_pool.TryRent(Tenant, priority, TimeSpan.Zero, fresh: false, out var connection) && connection is not null)
                {
                    _pool.Return(connection);
                }
            }
        }
    }

    /// <summary>Null: none was free.</summary>
    private PeerConnection? Rent(FetchPriority priority, TimeSpan patience = default)
    {
        Assert.True(_pool.TryRent(Tenant, priority, patience, fresh: false, out var connection), "the node is taken for one that cannot be reached");
        return connection;
    }
}
