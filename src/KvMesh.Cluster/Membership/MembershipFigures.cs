using System.Collections.Immutable;

namespace KvMesh.Cluster.Membership;

/// <summary>Counts of one membership. Written by its loop, read by any thread.</summary>
public sealed class MembershipFigures
{
    private long _silentSince;
    private long _failures;
    private long _answers;

    /// <summary>Turns in which the store answered.</summary>
    public long StoreAnswers => Volatile.Read(ref _answers);

    /// <summary>Turns in which it did not.</summary>
    public long StoreFailures => Volatile.Read(ref _failures);

    /// <summary>Answers that came after the wait for them was over, and were used.</summary>
    public long LateAnswers { get; internal set; }

    /// <summary>Timestamp of the first turn of the present silence; 0: the store answers.</summary>
    public long SilentSince => Volatile.Read(ref _silentSince);

    /// <summary>Times that another run took this node's id.</summary>
    public long Fences { get; internal set; }

    /// <summary>Times that an operator declared this node gone while it lived.</summary>
    public long Dismissals { get; internal set; }

    /// <summary>Nodes that were taken out of the view because they were silent.</summary>
    public long Departures { get; internal set; }

    /// <summary>Nodes that look dead and are kept, because too many do at once.</summary>
    public ImmutableArray<NodeId> HeldBack { get; internal set; } = [];

    internal void StoreAnswered()
    {
        Volatile.Write(ref _answers, _answers + 1);
        Volatile.Write(ref _silentSince, 0);
    }

    /// <summary>Whether a silence begins.</summary>
    internal bool StoreFailed(long now)
    {
        Volatile.Write(ref _failures, _failures + 1);
        if (_silentSince != 0)
        {
            return false;
        }

        Volatile.Write(ref _silentSince, now);
        return true;
    }
}
