using System.Collections.Concurrent;
using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Placement.Nodes;

namespace KvMesh.Cluster.Placement.Scheduler;

/// <summary>
/// Talks to the nodes of the view, this one among them. A node that did not answer is left alone for five times as long as that took, so that it costs one deadline
/// and not one for each question; one that said at once that it cannot is asked again soon. Any thread.
/// </summary>
internal sealed class NodeTalk(NodeId self, IPlacementNode own, IPlacementCalls calls, PlacementServiceOptions options, TimeProvider time)
{
    /// <summary>Nodes that are talked to at a time.</summary>
    public const int Concurrency = 64;

    private const int Penalty = 5;

    private static readonly TimeSpan ShortestPause = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<(NodeId Id, long Incarnation), (long At, TimeSpan Pause)> _failed = new();

    /// <summary>Whether it is worth asking.</summary>
    public bool IsAnswering(NodeRecord node) =>
        !_failed.TryGetValue((node.Id, node.Incarnation), out var failure) || time.GetElapsedTime(failure.At) >= failure.Pause;

    /// <summary>Asks one node. False: no answer, and the text says why.</summary>
    public async ValueTask<(bool IsAnswered, T? Answer, string Failure)> AskAsync<T>(
        NodeRecord node, Func<IPlacementNode, T> here, Func<IPlacementCalls, TimeSpan, CancellationToken, ValueTask<T>> there, CancellationToken cancellationToken,
        TimeSpan extra = default)
    {
        if (node.Id == self)
        {
            return (true, await Task.Run(() => here(own), cancellationToken).ConfigureAwait(false), "");
        }

        var key = (node.Id, node.Incarnation);
        if (!IsAnswering(node))
        {
            return (false, default, $"{node.Id} did not answer a moment ago.");
        }

        var askedAt = time.GetTimestamp();
        try
        {
            var answer = await there(calls, options.CallTimeout + extra, cancellationToken).ConfigureAwait(false);
            _failed.TryRemove(key, out _);
            return (true, answer, "");
        }
        catch (NodeSilentException exception)
        {
            _failed[key] = (time.GetTimestamp(), PauseAfter(time.GetElapsedTime(askedAt)));
            return (false, default, exception.Message);
        }
    }

    /// <summary>Asks many nodes, so many at a time.</summary>
    public static Task ForEachAsync<T>(IEnumerable<T> items, Func<T, CancellationToken, ValueTask> ask, CancellationToken cancellationToken) =>
        Parallel.ForEachAsync(items, new ParallelOptions { MaxDegreeOfParallelism = Concurrency, CancellationToken = cancellationToken }, ask);

    /// <summary>Forgets failures of runs that are in the view no more.</summary>
    public void Trim(ClusterView view)
    {
        foreach (var key in _failed.Keys.Where(key => view.Find(key.Id)?.Incarnation != key.Incarnation).ToList())
        {
            _failed.TryRemove(key, out _);
        }
    }

    private TimeSpan PauseAfter(TimeSpan took)
    {
        var least = Penalty * options.CallTimeout < ShortestPause ? Penalty * options.CallTimeout : ShortestPause;
        return Penalty * took > least ? Penalty * took : least;
    }
}
