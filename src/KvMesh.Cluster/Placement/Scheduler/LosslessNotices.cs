using System.Collections.Concurrent;
using System.Collections.Immutable;
using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Placement;

namespace KvMesh.Cluster.Placement.Scheduler;

/// <summary>
/// Tells nodes which of their blocks may lose nothing, because a sequence that is lossless only refers to them. What is told holds for the copies that a node
/// has then: it is told again from time to time, as copies come from where nobody knew. One caller at a time.
/// </summary>
internal sealed class LosslessNotices(NodeTalk talk, TimeProvider time)
{
    /// <summary>Sequences that are looked at in one step.</summary>
    private const int MaxSessions = 64;

    /// <summary>How long a look at one whose runs are the same is good for.</summary>
    private static readonly TimeSpan LookTime = TimeSpan.FromSeconds(10);

    /// <summary>How long what a node was told is not told again.</summary>
    private static readonly TimeSpan ToldTime = TimeSpan.FromMinutes(1);

    private readonly ConcurrentDictionary<Notice, long> _told = new();

    /// <param name="holdings">Who holds a run, as the map says.</param>
    public async ValueTask TellAsync(
        ClusterView view, IEnumerable<Session> sessions, Func<ChainPrefix, ImmutableArray<Holding>> holdings, CancellationToken cancellationToken)
    {
        foreach (var old in _told.Where(pair => time.GetElapsedTime(pair.Value) >= ToldTime).ToList())
        {
            _told.TryRemove(old);
        }

        var due = sessions.Where(IsDue).OrderBy(session => session.ToldLossless?.At ?? long.MinValue).Take(MaxSessions).ToList();
        await NodeTalk.ForEachAsync(
            due.SelectMany(session => NoticesOf(view, session, holdings)).DistinctBy(told => told.Notice).ToList(),
            (told, stop) => TellAsync(told.Node, told.Notice, told.Request, stop),
            cancellationToken).ConfigureAwait(false);
    }

    private bool IsDue(Session session) => session.Info.LosslessOnly && session.Runs.Count > 0
        && (session.ToldLossless is not { } told || told.Cut != session.Cut || time.GetElapsedTime(told.At) >= LookTime);

    private List<(NodeRecord Node, Notice Notice, ChainRequest Request)> NoticesOf(
        ClusterView view, Session session, Func<ChainPrefix, ImmutableArray<Holding>> holdings)
    {
        var notices = new List<(NodeRecord Node, Notice Notice, ChainRequest Request)>();
        session.ToldLossless = (time.GetTimestamp(), session.Cut);
        foreach (var run in session.Runs)
        {
            foreach (var holding in holdings(run))
            {
                if (view.Find(holding.Node) is not { } node)
                {
                    continue;
                }

                var last = holding.FirstBlock + holding.Blocks - 1;
                var notice = new Notice(node.Id, node.Incarnation, run.Tail, last, holding.Blocks);
                if (!_told.ContainsKey(notice))
                {
                    notices.Add((node, notice, new ChainRequest(run.Tenant, run.Keys[last], holding.Blocks) { KeepsLossless = true }));
                }
            }
        }

        return notices;
    }

    private async ValueTask TellAsync(NodeRecord node, Notice notice, ChainRequest request, CancellationToken cancellationToken)
    {
        var (isAnswered, _, _) = await talk.AskAsync(
            node, own => own.Chain(request), (calls, limit, token) => calls.ChainAsync(node, request, limit, token), cancellationToken).ConfigureAwait(false);
        if (isAnswered)
        {
            _told[notice] = time.GetTimestamp();
        }
    }

    /// <param name="Tail">Names the run.</param>
    /// <param name="Last">Last block of it that the node holds.</param>
    private readonly record struct Notice(NodeId Node, long Incarnation, KeyDigest Tail, int Last, int Blocks);
}
