using System.Runtime.CompilerServices;

namespace KvMesh.Cluster.Membership;

/// <summary>Holds the current view and hands later ones to whoever waits. One writer, any readers; a slow reader misses views in between.</summary>
internal sealed class ViewFeed
{
    private volatile Issue _issue = new(ClusterView.Empty);

    public ClusterView Current => _issue.View;

    /// <summary>False: it says the same as the current one, which stays.</summary>
    public bool Publish(ClusterView view)
    {
        var current = _issue;
        if (IsSame(current.View, view) || view.Epoch <= current.View.Epoch)
        {
            return false;
        }

        _issue = new Issue(view);
        current.Superseded.TrySetResult();
        return true;
    }

    public async IAsyncEnumerable<ClusterView> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (true)
        {
            var issue = _issue;
            yield return issue.View;
            await issue.Superseded.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    private static bool IsSame(ClusterView left, ClusterView right) =>
        left.IsFrozen == right.IsFrozen && left.Identity == right.Identity && IsSame(left.Nodes, right.Nodes) && IsSame(left.Incompatible, right.Incompatible);

    /// <summary>Runs and revisions tell records apart; the array of tiers in a record would compare by reference.</summary>
    private static bool IsSame(IReadOnlyList<NodeRecord> left, IReadOnlyList<NodeRecord> right) =>
        left.Count == right.Count
        && left.Zip(right).All(pair => pair.First.Id == pair.Second.Id
            && pair.First.Incarnation == pair.Second.Incarnation
            && pair.First.Revision == pair.Second.Revision
            && pair.First.NativeAddress == pair.Second.NativeAddress);

    private sealed class Issue(ClusterView view)
    {
        public ClusterView View { get; } = view;

        public TaskCompletionSource Superseded { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
