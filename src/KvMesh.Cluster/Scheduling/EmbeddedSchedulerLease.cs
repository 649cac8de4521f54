using KvMesh.Cluster.Membership;

namespace KvMesh.Cluster.Scheduling;

/// <summary>The lease of a cluster of one node: always to be had. Its token grows with each term.</summary>
public sealed class EmbeddedSchedulerLease(NodeId self, OrderGate orders, TimeProvider time) : ISchedulerLease
{
    private readonly Lock _lock = new();
    private long _token;
    private bool _isHeld;

    public TimeSpan Duration => TimeSpan.MaxValue;

    public ValueTask<LeaseHolding> HoldAsync(CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (!_isHeld)
            {
                _isHeld = true;
                _token = Math.Max(orders.Highest + 1, time.GetUtcNow().ToUnixTimeMilliseconds());
                orders.Observe(_token);
            }

            return ValueTask.FromResult(new LeaseHolding(true, _token, self));
        }
    }

    public ValueTask ReleaseAsync(CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            _isHeld = false;
        }

        return ValueTask.CompletedTask;
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
