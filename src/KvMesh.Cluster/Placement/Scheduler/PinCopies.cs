using System.Collections.Immutable;
using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Placement;

namespace KvMesh.Cluster.Placement.Scheduler;

/// <summary>
/// Verified copies of the runs of one pin, and how far each is that is being verified. The keeper writes while steps look, and what it learns of runs or of a pin
/// that are others by now is dropped: each of its looks names the edition that it began with. Any thread.
/// </summary>
internal sealed class PinCopies(TimeProvider time)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<int, RunCopies> _runs = [];
    private uint _pin;
    private int _edition;

    /// <summary>The runs are others.</summary>
    public void Forget()
    {
        lock (_lock)
        {
            Forget_NeedsLock();
        }
    }

    /// <summary>Begins a look at the copies of a pin; those of another one are forgotten. Returns the edition to name.</summary>
    public int Begin(uint pin)
    {
        lock (_lock)
        {
            if (_pin != pin)
            {
                Forget_NeedsLock();
                _pin = pin;
            }

            return _edition;
        }
    }

    /// <summary>Nodes that keep a run, and since when that is known; without those whose run is not in the view.</summary>
    public ImmutableDictionary<(NodeId Node, long Incarnation), long> Kept(int edition, int run, ClusterView view)
    {
        lock (_lock)
        {
            if (edition != _edition)
            {
                return ImmutableDictionary<(NodeId, long), long>.Empty;
            }

            if (!_runs.TryGetValue(run, out var copies))
            {
                _runs.Add(run, copies = new RunCopies());
            }

            foreach (var key in copies.Kept.Keys.Where(key => view.Find(key.Node)?.Incarnation != key.Incarnation).ToList())
            {
                copies.Kept.Remove(key);
            }

            return copies.Kept.ToImmutableDictionary();
        }
    }

    /// <summary>What a node said when it was asked to keep all of a run.</summary>
    /// <param name="since">Timestamp of the first block that it kept.</param>
    public void Note(int edition, int run, (NodeId Node, long Incarnation) holder, OrderVerdict verdict, long since)
    {
        lock (_lock)
        {
            if (edition != _edition || !_runs.TryGetValue(run, out var copies))
            {
                return;
            }

            copies.Begun.Remove(holder);
            if (verdict == OrderVerdict.Taken)
            {
                copies.Kept[holder] = since;
            }
            else
            {
                copies.Kept.Remove(holder);
            }

            if (verdict == OrderVerdict.Full)
            {
                copies.Unkept.Add(holder);
            }
            else
            {
                copies.Unkept.Remove(holder);
            }
        }
    }

    /// <summary>So many blocks of a run are kept by a node by now, the first of them since a timestamp.</summary>
    public void NoteBegun(int edition, int run, (NodeId Node, long Incarnation) holder, int blocks, long since)
    {
        lock (_lock)
        {
            if (edition == _edition && _runs.TryGetValue(run, out var copies))
            {
                copies.Begun[holder] = (blocks, since);
            }
        }
    }

    /// <summary>Where to go on with a run that a node has begun to keep, unless that was too long ago.</summary>
    public (int Blocks, long Since) Begun(int run, (NodeId Node, long Incarnation) holder, TimeSpan memory)
    {
        lock (_lock)
        {
            return _runs.TryGetValue(run, out var copies) && copies.Begun.TryGetValue(holder, out var begun) && time.GetElapsedTime(begun.Since) < memory
                ? begun
                : (0, time.GetTimestamp());
        }
    }

    /// <summary>Nodes of the view that hold all of a run and have no room to keep it: a pin needs others.</summary>
    public ImmutableArray<NodeId> Unkept(int run, ClusterView view)
    {
        lock (_lock)
        {
            return _runs.TryGetValue(run, out var copies)
                ? [.. copies.Unkept.Where(node => view.Find(node.Node)?.Incarnation == node.Incarnation).Select(node => node.Node)]
                : [];
        }
    }

    /// <summary>Whether the pin has a use for a hold on this node: it counts there, or there are too few that count.</summary>
    public bool Wants(int run, ClusterView view, (NodeId Node, long Incarnation) holder, int replicas)
    {
        lock (_lock)
        {
            return !_runs.TryGetValue(run, out var copies) || copies.Kept.ContainsKey(holder)
                || copies.Kept.Keys.Count(key => view.Find(key.Node) is { State: NodeState.Active }) < replicas;
        }
    }

    private void Forget_NeedsLock()
    {
        _runs.Clear();
        _edition++;
    }

    private sealed class RunCopies
    {
        public Dictionary<(NodeId Node, long Incarnation), long> Kept { get; } = [];

        public HashSet<(NodeId Node, long Incarnation)> Unkept { get; } = [];

        public Dictionary<(NodeId Node, long Incarnation), (int Blocks, long Since)> Begun { get; } = [];
    }
}
