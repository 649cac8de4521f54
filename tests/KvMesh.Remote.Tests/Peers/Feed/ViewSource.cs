using System.Runtime.CompilerServices;
using KvMesh.Cluster.Membership;

namespace KvMesh.Remote.Tests.Peers.Feed;

/// <summary>Views that a test makes, seen by one node.</summary>
internal sealed class ViewSource(NodeId self) : IClusterViews
{
    private readonly Lock _lock = new();
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private ClusterView _current = ClusterView.Empty;

    public NodeId Self => self;

    public ClusterView Current
    {
        get
        {
            lock (_lock)
            {
                return _current;
            }
        }
    }

    public void Show(ClusterView view)
    {
        TaskCompletionSource changed;
        lock (_lock)
        {
            _current = view;
            changed = _changed;
            _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        changed.SetResult();
    }

    public async IAsyncEnumerable<ClusterView> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        long seen = -1;
        while (true)
        {
            ClusterView view;
            Task changed;
            lock (_lock)
            {
                view = _current;
                changed = _changed.Task;
            }

            if (view.Epoch > seen)
            {
                seen = view.Epoch;
                yield return view;
            }
            else
            {
                await changed.WaitAsync(cancellationToken);
            }
        }
    }
}
