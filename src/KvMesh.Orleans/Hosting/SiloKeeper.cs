using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Scheduling;
using KvMesh.Cluster.Sequences;
using KvMesh.Orleans.Scheduling;
using KvMesh.Orleans.Sequences;
using Microsoft.Extensions.Logging;

namespace KvMesh.Orleans.Hosting;

/// <summary>
/// Keeps a silo in this process. It joins in the background, and another one follows a silo that could not join or that the others declared dead. While there is
/// none, sequences and lease answer as those of a store that is silent.
/// </summary>
/// <param name="rows">Where heads and rows are kept, the same for all silos. Owned by the caller.</param>
public sealed partial class SiloKeeper(OrleansSiloOptions options, ISequenceStore rows, SequenceRules rules, TimeProvider time, ILoggerFactory loggers) : IAsyncDisposable
{
    private static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(1);

    private readonly ILogger _logger = loggers.CreateLogger<SiloKeeper>();
    private readonly CancellationTokenSource _stopping = new();
    private Task _keeping = Task.CompletedTask;
    private volatile OrleansSilo? _silo;

    /// <summary>The sequences of all silos.</summary>
    public ISequenceStore OpenSequences() => new OrleansSequenceStore(FindGrains, rows);

    /// <summary>The scheduler's lease of the cluster, as this node asks for it.</summary>
    public ISchedulerLease LeaseFor(NodeId self, OrderGate orders, TimeSpan duration) => new OrleansSchedulerLease(FindGrains, self, orders, duration);

    public void Start() => _keeping = Task.Run(KeepAsync);

    /// <summary>Leaves the cluster; other silos own its sequences from their next command on.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        await _keeping.ConfigureAwait(false);
        _stopping.Dispose();
    }

    private IGrainFactory? FindGrains() => _silo?.Grains;

    private async Task KeepAsync()
    {
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                await LiveAsync().ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
            {
                return;
            }
#pragma warning disable CA1031 // The root of the loop: whatever kept the silo from joining, the next one may succeed.
            catch (Exception failure)
#pragma warning restore CA1031
            {
                LogNotJoined(options.Cluster, failure.Message);
            }

            await Task.Delay(RetryInterval, time, _stopping.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>One silo, until it is lost or this node stops.</summary>
    private async Task LiveAsync()
    {
        await using var silo = await OrleansSilo.StartAsync(options, rows, rules, time, loggers, _stopping.Token).ConfigureAwait(false);
        _silo = silo;
        LogJoined(options.Cluster);
        try
        {
            LogLost(options.Cluster, await silo.Lost.WaitAsync(_stopping.Token).ConfigureAwait(false));
        }
        finally
        {
            _silo = null;
        }
    }

    [LoggerMessage(5201, LogLevel.Information, "The silo of this node is in the cluster {Cluster}.")]
    private partial void LogJoined(string cluster);

    [LoggerMessage(5202, LogLevel.Warning, "The silo of this node could not join the cluster {Cluster}, and tries again: {Reason}")]
    private partial void LogNotJoined(string cluster, string reason);

    [LoggerMessage(5203, LogLevel.Warning, "The cluster {Cluster} lost the silo of this node, which starts another one: {Reason}")]
    private partial void LogLost(string cluster, string reason);
}
