using Orleans.Placement;

namespace KvMesh.Orleans.Scheduling;

/// <summary>
/// Gives the lease out, one term at a time. A term is stored before it is given, over the one that it follows: of two activations that do not know of each other
/// one gives nothing. When somebody was last heard is in memory only; an activation that begins grants the stored holder a whole duration.
/// </summary>
[PreferLocalPlacement]
[GrainType("kvmesh.scheduler")]
internal sealed class SchedulerGrain(
    [PersistentState("term", SchedulerGrain.Storage)] IPersistentState<SchedulerState> term, TimeProvider time) : Grain, ISchedulerGrain
{
    public const string Storage = "kvmesh-scheduler";

    private long _heardAt;

    public override Task OnActivateAsync(CancellationToken cancellationToken)
    {
        _heardAt = time.GetTimestamp();
        return base.OnActivateAsync(cancellationToken);
    }

    public async Task<HoldReply> HoldAsync(HoldRequest request)
    {
        var (holder, token) = (term.State.Holder, term.State.Token);
        var isFree = holder.Length == 0 || time.GetElapsedTime(_heardAt) >= term.State.Duration;
        var isHolder = holder == request.Contender;
        if (!isHolder && !isFree)
        {
            return new HoldReply { Holder = holder, Token = token };
        }

        // A holder whose token others do not follow any more begins another term.
        if (!isHolder || token + 1 < request.LeastToken)
        {
            var next = Math.Max(Math.Max(token + 1, request.LeastToken), time.GetUtcNow().ToUnixTimeMilliseconds());
            await StoreAsync(request.Contender, next, request.Duration);
        }

        _heardAt = time.GetTimestamp();
        return new HoldReply { Holder = term.State.Holder, Token = term.State.Token };
    }

    public Task ReleaseAsync(string contender) =>
        term.State.Holder == contender ? StoreAsync("", term.State.Token, term.State.Duration) : Task.CompletedTask;

    private async Task StoreAsync(string holder, long token, TimeSpan duration)
    {
        var before = term.State;
        term.State = new SchedulerState { Holder = holder, Token = token, Duration = duration };
        try
        {
            await term.WriteStateAsync();
        }
        catch
        {
            // It may have been written. The next activation reads what is stored; nothing was given.
            term.State = before;
            DeactivateOnIdle();
            throw;
        }
    }
}
