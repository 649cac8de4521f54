using System.Net;
using KvMesh.Cluster.Sequences;
using KvMesh.Orleans.Hosting;
using KvMesh.Remote.Redis.Sequences;
using KvMesh.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Orleans.Tests.Sequences;

/// <summary>One silo with the settings that are shipped, and a host of sequences over it, as a node has them.</summary>
internal sealed class LoneSilo : IAsyncDisposable
{
    private readonly RedisSequenceConnection _connection;
    private readonly CountedStore _rows;
    private readonly OrleansSilo _silo;

    private LoneSilo(RedisSequenceConnection connection, CountedStore rows, OrleansSilo silo, string node)
    {
        (_connection, _rows, _silo) = (connection, rows, silo);
        Host = new SequenceHost(silo.Sequences, new SequenceHostOptions { Node = node }, TimeProvider.System, NullLoggerFactory.Instance);
    }

    public SequenceHost Host { get; }

    /// <summary>Heads that grains of this silo read when they were activated.</summary>
    public int Reads => _rows.Reads;

    public static async Task<LoneSilo> StartAsync(string redis, string cluster, string node)
    {
        var connection = new RedisSequenceConnection(redis, node, TimeProvider.System);
        var rows = new CountedStore(new RedisSequenceStore(connection, new RedisSequenceStoreOptions(), TimeProvider.System));
        var options = new OrleansSiloOptions { Cluster = cluster, Redis = redis, Address = IPAddress.Loopback, Port = FreePort.Next() };
        return new LoneSilo(
            connection, rows, await OrleansSilo.StartAsync(options, rows, new SequenceRules(), TimeProvider.System, NullLoggerFactory.Instance, CancellationToken.None), node);
    }

    public async ValueTask DisposeAsync()
    {
        await Host.DisposeAsync();
        await _silo.DisposeAsync();
        await _connection.DisposeAsync();
    }
}
