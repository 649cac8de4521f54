using KvMesh.Cluster.Map;
using KvMesh.Cluster.Membership;
using Microsoft.Extensions.Logging;

namespace KvMesh.Remote.Peers.Feed;

/// <summary>What the feeds of one directory have in common.</summary>
internal sealed record FeedShared(
    BlockLocator Locator, PeerCredential Credential, MapFeedOptions Options, MapMetrics Metrics, SnapshotBudget Budget, TimeProvider Time, ILoggerFactory Loggers,
    Action NoteProgress)
{
    private long _intervalTicks = Options.Interval.Ticks;

    /// <summary>Pause between two questions to a node that had little to tell.</summary>
    public TimeSpan Interval
    {
        get => new(Volatile.Read(ref _intervalTicks));
        set => Volatile.Write(ref _intervalTicks, value.Ticks);
    }
}
