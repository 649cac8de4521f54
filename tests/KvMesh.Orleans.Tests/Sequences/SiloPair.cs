using System.Net;
using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Scheduling;
using KvMesh.Cluster.Sequences;
using KvMesh.Orleans.Hosting;
using KvMesh.Remote.Redis.Sequences;
using KvMesh.TestKit;
using KvMesh.TestKit.Coordination;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Orleans.Tests.Sequences;

/// <summary>Two silos of one cluster in this process, over a redis-server of their own.</summary>
public sealed class SiloPair : IAsyncLifetime
{
    private readonly List<IAsyncDisposable> _parts = [];
    private readonly List<CountedStore> _rows = [];
    private readonly List<OrleansSilo> _silos = [];
    private int _asked;

    /// <summary>Where both silos keep heads and rows.</summary>
    public ISequenceStore Rows => _rows[0];

    /// <summary>How often the silos' storages were asked for a head.</summary>
    public int Reads => _rows.Sum(rows => rows.Reads);

    /// <summary>The sequences as the one silo and the other see them, in turn.</summary>
    public ISequenceStore Next() => _silos[(int)((uint)Interlocked.Increment(ref _asked) % _silos.Count)].Sequences;

    /// <summary>The scheduler's lease as one of the silos asks for it.</summary>
    public ISchedulerLease LeaseOf(int silo, NodeId self, OrderGate orders, TimeSpan duration) => _silos[silo].LeaseFor(self, orders, duration);

    public async Task StopFirstAsync()
    {
        _parts.Remove(_silos[0]);
        await _silos[0].DisposeAsync();
    }

    public async Task InitializeAsync()
    {
        var redis = await RestartableRedis.StartAsync();
        _parts.Add(redis);
        for (var number = 0; number < 2; number++)
        {
            // Each has a connection of its own, as every node has.
            var connection = new RedisSequenceConnection($"{redis.Address},syncTimeout=120000", "test", TimeProvider.System);
            _parts.Add(connection);
            var rows = new CountedStore(new RedisSequenceStore(connection, new RedisSequenceStoreOptions { Deadline = Eventually.Patience }, TimeProvider.System));
            _rows.Add(rows);
            var options = new OrleansSiloOptions
            {
                Cluster = "pair",
                Redis = redis.Address,
                Address = IPAddress.Loopback,
                Port = FreePort.Next(),
                ProbeInterval = TimeSpan.FromSeconds(10),
                ResponseLimit = Eventually.Patience,
            };
            var silo = await OrleansSilo.StartAsync(options, rows, new SequenceRules(), TimeProvider.System, NullLoggerFactory.Instance, CancellationToken.None);
            _silos.Add(silo);
            _parts.Add(silo);
        }
    }

    public async Task DisposeAsync()
    {
        foreach (var part in Enumerable.Reverse(_parts))
        {
            await part.DisposeAsync();
        }
    }
}
