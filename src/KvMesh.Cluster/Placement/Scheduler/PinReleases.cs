using System.Collections.Concurrent;
using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Placement;

namespace KvMesh.Cluster.Placement.Scheduler;

/// <summary>
/// Lets blocks go that no pin keeps any more, because it was lifted, ran out, asks for fewer copies or its sequence was closed: their nodes need not wait
/// until the hold runs out. What this scheduler does not know it leaves alone, and then the hold's own time ends it.
/// </summary>
internal sealed class PinReleases(NodeTalk talk, IReadOnlyList<string> tenants, PlacementServiceOptions options, TimeProvider time)
{
    /// <summary>Nodes and tenants that are told in one step.</summary>
    private const int MostEnded = 256;

    /// <summary>A message names a key; no block has this one.</summary>
    private static readonly ReadOnlyMemory<byte>[] NoKey = [new byte[1]];

    /// <summary>Holds that were asked for, answered or not, and when.</summary>
    private readonly ConcurrentDictionary<(NodeId Node, long Incarnation, ChainPrefix Run), long> _given = new();

    /// <summary>Nodes that were told to let go what schedulers before this one had them keep for a tenant.</summary>
    private readonly HashSet<(NodeId Node, long Incarnation, string Tenant)> _ended = [];

    /// <summary>A node is about to be asked to keep a run. Any thread.</summary>
    public void NoteGiven(NodeRecord node, ChainPrefix run) => _given[(node.Id, node.Incarnation, run)] = time.GetTimestamp();

    /// <summary>
    /// Ends the holds that nobody wants. Sequences share their beginnings: what another pin keeps on the node stays. One caller at a time. A hold that is under way
    /// for a pin that has ended comes after this, is noted once more, and is let go the next time.
    /// </summary>
    /// <param name="pinned">Sequences whose pin is in force.</param>
    /// <param name="knowsPinsOf">Whether those are all of a tenant.</param>
    public async ValueTask ReleaseAsync(
        long token, ClusterView view, IReadOnlyCollection<Session> pinned, Func<string, bool> knowsPinsOf, CancellationToken cancellationToken)
    {
        foreach (var ((node, incarnation, run), at) in _given)
        {
            if (view.Find(node)?.Incarnation != incarnation || time.GetElapsedTime(at) >= options.HoldTime)
            {
                _given.TryRemove((node, incarnation, run), out _);
            }
        }

        await EndEarlierAsync(token, view, pinned, knowsPinsOf, cancellationToken).ConfigureAwait(false);
        if (_given.IsEmpty)
        {
            return;
        }

        var wanted = pinned.SelectMany(session => session.Runs.Select((run, index) => (Run: run, Index: index, Session: session))).ToLookup(entry => FirstKeyOf(entry.Run));
        var unclear = pinned.Where(session => session.Runs.Count == 0 && session.Blocks > 0).Select(session => session.Id.Tenant).ToHashSet(StringComparer.Ordinal);
        var ended = new List<(NodeRecord Node, ChainPrefix Run, int Shared)>();
        foreach (var (id, incarnation, run) in _given.Keys.Where(key => knowsPinsOf(key.Run.Tenant) && !unclear.Contains(key.Run.Tenant)))
        {
            var shared = wanted[FirstKeyOf(run)]
                .Where(other => other.Session.Wants(other.Index, view, (id, incarnation)))
                .Select(other => CountShared(run, other.Run))
                .DefaultIfEmpty(0)
                .Max();
            if (shared < run.Blocks)
            {
                ended.Add((view.Find(id)!, run, shared));
            }
        }

        await NodeTalk.ForEachAsync(ended.GroupBy(hold => hold.Node), (holds, stop) => ReleaseAsync(token, holds.Key, holds, stop), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>
    /// Has every node let go, once, what only schedulers before this one had it keep: of a tenant whose pins are all known, and whose copies were all asked for.
    /// </summary>
    private async ValueTask EndEarlierAsync(
        long token, ClusterView view, IReadOnlyCollection<Session> pinned, Func<string, bool> knowsPinsOf, CancellationToken cancellationToken)
    {
        _ended.RemoveWhere(key => view.Find(key.Node)?.Incarnation != key.Incarnation);
        var uncounted = pinned.Where(session => !session.WasCounted && session.Blocks > 0).Select(session => session.Id.Tenant).ToHashSet(StringComparer.Ordinal);
        var due = view.Nodes
            .Where(talk.IsAnswering)
            .SelectMany(node => tenants.Where(tenant => !_ended.Contains((node.Id, node.Incarnation, tenant)) && knowsPinsOf(tenant) && !uncounted.Contains(tenant)).Select(tenant => (node, tenant)))
            .Take(MostEnded)
            .ToList();
        var told = new ConcurrentBag<(NodeId, long, string)>();
        await NodeTalk.ForEachAsync(
            due,
            async (pair, stop) =>
            {
                var (node, tenant) = pair;
                var request = new HoldRequest(token, TimeSpan.Zero, tenant, NoKey) { EndsEarlier = true };
                var (isAnswered, answer, _) = await talk.AskAsync(
                    node, own => own.Hold(request), (calls, limit, cut) => calls.HoldAsync(node, request, limit, cut), stop).ConfigureAwait(false);
                if (isAnswered && answer.Verdict != OrderVerdict.StaleToken)
                {
                    told.Add((node.Id, node.Incarnation, tenant));
                }
            },
            cancellationToken).ConfigureAwait(false);
        _ended.UnionWith(told);
    }

    private async ValueTask ReleaseAsync(
        long token, NodeRecord node, IEnumerable<(NodeRecord Node, ChainPrefix Run, int Shared)> holds, CancellationToken cancellationToken)
    {
        foreach (var (_, run, shared) in holds)
        {
            var request = new HoldRequest(token, TimeSpan.Zero, run.Tenant, [.. run.Keys.Skip(shared)]);
            var (isAnswered, answer, _) = await talk.AskAsync(
                node, own => own.Hold(request), (calls, limit, stop) => calls.HoldAsync(node, request, limit, stop), cancellationToken).ConfigureAwait(false);
            if (isAnswered && answer.Verdict != OrderVerdict.StaleToken)
            {
                _given.TryRemove((node.Id, node.Incarnation, run), out _);
            }
        }
    }

    /// <summary>Runs are cut at the same places of every chain, so two of them that begin alike are the same up to where their chains part.</summary>
    private static int CountShared(ChainPrefix run, ChainPrefix other)
    {
        var shared = 0;
        while (shared < Math.Min(run.Blocks, other.Blocks) && run.Keys[shared].Span.SequenceEqual(other.Keys[shared].Span))
        {
            shared++;
        }

        return shared;
    }

    private static TailName FirstKeyOf(ChainPrefix run) => new(run.Tenant, run.Keys[0], 0);
}
