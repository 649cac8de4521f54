namespace KvMesh.Remote.Tests.Peers.Feed;

/// <summary>Real time whose timers wait while it is paused, so that who goes by it does nothing until the test lets it.</summary>
internal sealed class PausingClock : TimeProvider
{
    private static readonly TimeSpan Again = TimeSpan.FromMilliseconds(5);

    public volatile bool IsPaused;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        ITimer? timer = null;
        timer = base.CreateTimer(Fire, null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        timer.Change(dueTime, period);
        return timer;

        void Fire(object? _)
        {
            if (IsPaused)
            {
                timer!.Change(Again, period);
                return;
            }

            callback(state);
        }
    }
}
