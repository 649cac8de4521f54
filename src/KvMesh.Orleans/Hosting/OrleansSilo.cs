using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Scheduling;
using KvMesh.Cluster.Sequences;
using KvMesh.Orleans.Scheduling;
using KvMesh.Orleans.Sequences;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Orleans.Configuration;
using Orleans.Runtime.Hosting;
using StackExchange.Redis;

namespace KvMesh.Orleans.Hosting;

/// <summary>A silo in this process: the sequences of a cluster are divided among the silos of its nodes.</summary>
public sealed class OrleansSilo : IAsyncDisposable
{
    private readonly IHost _host;

    private OrleansSilo(IHost host, ISequenceStore rows)
    {
        _host = host;
        Sequences = new OrleansSequenceStore(host.Services.GetRequiredService<IGrainFactory>(), rows);
    }

    /// <summary>The sequences of all silos.</summary>
    public ISequenceStore Sequences { get; }

    /// <summary>The scheduler's lease of the cluster, as this node asks for it.</summary>
    public ISchedulerLease LeaseFor(NodeId self, OrderGate orders, TimeSpan duration) =>
        new OrleansSchedulerLease(_host.Services.GetRequiredService<IGrainFactory>(), self, orders, duration);

    /// <summary>Joins the cluster.</summary>
    /// <param name="rows">Where heads and rows are kept, the same for all silos. Owned by the caller.</param>
    public static async Task<OrleansSilo> StartAsync(
        OrleansSiloOptions options, ISequenceStore rows, SequenceRules rules, TimeProvider time, ILoggerFactory loggers, CancellationToken cancellationToken)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Services.AddSingleton(loggers);
        builder.Services.AddSingleton(rules);
        builder.Services.AddSingleton(time);
        builder.Services.AddGrainStorage(SequenceGrainStorage.Name, (_, _) => new SequenceGrainStorage(rows));
        builder.UseOrleans(silo => Configure(silo, options));
        var host = builder.Build();
        try
        {
            await host.StartAsync(cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            host.Dispose();
            throw;
        }

        return new OrleansSilo(host, rows);
    }

    /// <summary>Leaves the cluster; other silos own its sequences from their next command on.</summary>
    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync(CancellationToken.None).ConfigureAwait(false);
        _host.Dispose();
    }

    private static void Configure(ISiloBuilder silo, OrleansSiloOptions options)
    {
        silo.UseRedisClustering(options.Redis);
        silo.AddRedisGrainStorage(SchedulerGrain.Storage, storage => storage.ConfigurationOptions = ConfigurationOptions.Parse(options.Redis));
        silo.Configure<ClusterOptions>(cluster => (cluster.ClusterId, cluster.ServiceId) = (options.Cluster, options.Cluster));
        silo.ConfigureEndpoints(options.Address, options.Port, gatewayPort: 0);
        silo.Configure<ClusterMembershipOptions>(membership =>
        {
            membership.ProbeTimeout = options.ProbeInterval;
            membership.MinProbeTimeout = options.ProbeInterval;
            membership.MaxProbeTimeout = options.ProbeInterval;
            membership.NumMissedProbesLimit = options.MissedProbes;
            membership.NumVotesForDeathDeclaration = options.Votes;
            membership.TableRefreshTimeout = TimeSpan.FromSeconds(5);
            membership.IAmAliveTablePublishTimeout = TimeSpan.FromSeconds(5);
            membership.DefunctSiloExpiration = TimeSpan.FromHours(1);
        });
        silo.Configure<SiloMessagingOptions>(messaging => messaging.ResponseTimeout = options.ResponseLimit);
    }
}
