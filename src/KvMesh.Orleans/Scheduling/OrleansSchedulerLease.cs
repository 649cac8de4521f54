using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Scheduling;

namespace KvMesh.Orleans.Scheduling;

/// <summary>The scheduler's lease as one grain of the cluster gives it out.</summary>
/// <param name="grains">The grains of the cluster, as the silo of this process reaches them; null: it is in none now.</param>
/// <param name="orders">Knows the highest token that this node has met.</param>
public sealed class OrleansSchedulerLease(Func<IGrainFactory?> grains, NodeId self, OrderGate orders, TimeSpan duration) : ISchedulerLease
{
    private readonly string _contender = $"{self}/{Guid.NewGuid():n}";

    public TimeSpan Duration => duration;

    private ISchedulerGrain? Scheduler => grains()?.GetGrain<ISchedulerGrain>(0);

    public async ValueTask<LeaseHolding> HoldAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (Scheduler is not { } scheduler)
            {
                return LeaseHolding.None;
            }

            var request = new HoldRequest { Contender = _contender, LeastToken = orders.Highest + 1, Duration = duration };
            var reply = await scheduler.HoldAsync(request).WaitAsync(cancellationToken).ConfigureAwait(false);
            orders.Observe(reply.Token);
            return new LeaseHolding(reply.Holder == _contender, reply.Token, NodeId.TryParse(reply.Holder.Split('/')[0], out var holder, out _) ? holder : null);
        }
        catch (Exception failure) when (IsSilence(failure))
        {
            return LeaseHolding.None;
        }
    }

    public async ValueTask ReleaseAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (Scheduler is { } scheduler)
            {
                await scheduler.ReleaseAsync(_contender).WaitAsync(cancellationToken).ConfigureAwait(false);
            }
        }
        catch (Exception failure) when (IsSilence(failure))
        {
            // Then it runs out by itself.
        }
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static bool IsSilence(Exception failure) => failure is OrleansException or TimeoutException or ObjectDisposedException;
}
