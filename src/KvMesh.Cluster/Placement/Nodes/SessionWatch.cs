using KvMesh.Cluster.Sequences;
using KvMesh.Protocol.Placement;

namespace KvMesh.Cluster.Placement.Nodes;

/// <summary>
/// Remembers for a while which sequences were pinned, parked, had their pin ended or took on blocks that may lose nothing through this node, so that the scheduler hears of them with the next report. It also
/// reads all sequences from time to time: a name that is lost here costs that time only.
/// </summary>
public sealed class SessionWatch : IAsyncDisposable
{
    /// <summary>Several reports of a scheduler, so that one that is lost does not matter.</summary>
    private static readonly TimeSpan KeepTime = TimeSpan.FromSeconds(15);

    private readonly SequenceEventListener _listener;
    private readonly TimeProvider _time;
    private readonly Lock _lock = new();
    private readonly Dictionary<SessionName, long> _news = [];
    private readonly CancellationTokenSource _stopping = new();
    private readonly Task _following;

    public SessionWatch(SequenceEventFeed events, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(events);
        _time = time;
        _listener = events.Listen();
        _following = Task.Run(() => FollowAsync(_stopping.Token));
    }

    /// <summary>Sequences of the last time, newest first.</summary>
    public IReadOnlyList<SessionName> Recent()
    {
        lock (_lock)
        {
            foreach (var (name, at) in _news.ToList())
            {
                if (_time.GetElapsedTime(at) > KeepTime)
                {
                    _news.Remove(name);
                }
            }

            return [.. _news.OrderByDescending(pair => pair.Value).Take(PlacementLimits.MaxSessions).Select(pair => pair.Key)];
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        await _following.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _listener.Dispose();
        _stopping.Dispose();
    }

    /// <summary>Whether blocks may have become ones that may not lose anything.</summary>
    private static bool AddsLossless(in SequenceEvent news) => news.LosslessOnly
        && news.Kind is SequenceEventKind.Opened or SequenceEventKind.Taken or SequenceEventKind.Resumed or SequenceEventKind.Appended;

    private async Task FollowAsync(CancellationToken cancellationToken)
    {
        await foreach (var news in _listener.Reader.ReadAllAsync(cancellationToken).ConfigureAwait(false))
        {
            if (news.Kind is SequenceEventKind.Parked or SequenceEventKind.PinPending or SequenceEventKind.PinLost || news.EndsPin || AddsLossless(news))
            {
                lock (_lock)
                {
                    if (_news.Count < 2 * PlacementLimits.MaxSessions || _news.ContainsKey(new SessionName(news.Id.Tenant, news.Id.Name)))
                    {
                        _news[new SessionName(news.Id.Tenant, news.Id.Name)] = _time.GetTimestamp();
                    }
                }
            }
        }
    }
}
