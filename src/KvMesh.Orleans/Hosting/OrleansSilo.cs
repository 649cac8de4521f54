using System.Net;
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
    /// <summary>For the silo to tell the others that it leaves.</summary>
    private static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(5);

    /// <summary>In which a silo writes its time into the table of silos.</summary>
    private static readonly TimeSpan AliveInterval = TimeSpan.FromSeconds(2);

    private readonly IHost _host;
    private readonly SiloLoss _loss;

    private OrleansSilo(IHost host, SiloLoss loss, ISequenceStore rows)
    {
        (_host, _loss) = (host, loss);
        Grains = host.Services.GetRequiredService<IGrainFactory>();
        Sequences = new OrleansSequenceStore(() => Grains, rows);
    }

    /// <summary>The sequences of all silos.</summary>
    public ISequenceStore Sequences { get; }

    /// <summary>Why the cluster lost this silo, once it has. Then it can only be disposed.</summary>
    public Task<string> Lost => _loss.Reason;

    internal IGrainFactory Grains { get; }

    /// <summary>The scheduler's lease of the cluster, as this node asks for it.</summary>
    public ISchedulerLease LeaseFor(NodeId self, OrderGate orders, TimeSpan duration) => new OrleansSchedulerLease(() => Grains, self, orders, duration);

    /// <summary>Joins the cluster.</summary>
    /// <param name="rows">Where heads and rows are kept, the same for all silos. Owned by the caller.</param>
    public static async Task<OrleansSilo> StartAsync(
        OrleansSiloOptions options, ISequenceStore rows, SequenceRules rules, TimeProvider time, ILoggerFactory loggers, CancellationToken cancellationToken)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        var loss = new SiloLoss();
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = StopLimit);
        builder.Services.AddSingleton<IHostLifetime, SiloLifetime>();
        builder.Services.AddSingleton<IFatalErrorHandler>(loss);
        builder.Services.AddSingleton(loggers);
        builder.Services.AddSingleton(rules);
        builder.Services.AddSingleton(time);
        builder.Services.AddGrainStorage(SequenceGrainStorage.Name, (_, _) => new SequenceGrainStorage(rows));
        builder.UseOrleans(silo => Configure(silo, options));
        var host = builder.Build();
        var stale = new StaleSilos(
            host.Services.GetRequiredService<IMembershipTable>(), new IPEndPoint(options.Address, options.Port), AliveInterval, time, loggers.CreateLogger<StaleSilos>());
        using var joined = new CancellationTokenSource();
        var buried = stale.BuryAsync(joined.Token);
        try
        {
            await host.StartAsync(cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            await DisposeAsync(host).ConfigureAwait(false);
            throw;
        }
        finally
        {
            await joined.CancelAsync().ConfigureAwait(false);
            await buried.ConfigureAwait(false);
        }

        return new OrleansSilo(host, loss, rows);
    }

    /// <summary>Leaves the cluster; other silos own its sequences from their next command on.</summary>
    public async ValueTask DisposeAsync()
    {
        try
        {
            // Whom the others declared dead has nobody to say goodbye to.
            await _host.StopAsync(new CancellationToken(canceled: Lost.IsCompleted)).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // It did not stop in time; the others will find out.
        }
        finally
        {
            await DisposeAsync(_host).ConfigureAwait(false);
        }
    }

    private static async ValueTask DisposeAsync(IHost host)
    {
        if (host is IAsyncDisposable disposable)
        {
            await disposable.DisposeAsync().ConfigureAwait(false);
        }
        else
        {
            host.Dispose();
        }
    }

    private static void Configure(ISiloBuilder silo, OrleansSiloOptions options)
    {
        silo.UseRedisClustering(options.Redis);
        silo.AddRedisGrainStorage(SchedulerGrain.Storage, storage => storage.ConfigurationOptions = ConfigurationOptions.Parse(options.Redis));
        silo.Configure<ClusterOptions>(cluster => (cluster.ClusterId, cluster.ServiceId) = (options.Cluster, options.Cluster));
        silo.ConfigureEndpoints(options.Address, options.Port, options.GatewayPort);
        silo.Configure<ClusterMembershipOptions>(membership =>
        {
            membership.ProbeTimeout = options.ProbeInterval;
            membership.MinProbeTimeout = options.ProbeInterval;
            membership.MaxProbeTimeout = options.ProbeInterval;
            membership.NumMissedProbesLimit = options.MissedProbes;
            membership.NumVotesForDeathDeclaration = options.Votes;
            membership.TableRefreshTimeout = TimeSpan.FromSeconds(5);
            membership.IAmAliveTablePublishTimeout = AliveInterval;
            membership.DefunctSiloExpiration = TimeSpan.FromHours(1);
        });
        silo.Configure<SiloMessagingOptions>(messaging => messaging.ResponseTimeout = options.ResponseLimit);
    }
}
