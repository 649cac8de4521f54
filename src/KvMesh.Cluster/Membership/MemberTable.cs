using System.Collections.Immutable;

namespace KvMesh.Cluster.Membership;

/// <summary>
/// What one node believes about the others: takes the store's answers and silences, and decides who is gone. Its rules:
/// silence of the store says nothing about a node, and what it says in the first failure time after a silence takes nobody away;
/// a node that the store calls silent must stay so until everybody who lives would have beaten again; and one step takes no more
/// than a third of the nodes. One thread; time is monotonic and local.
/// </summary>
internal sealed class MemberTable(NodeId self, int minProtocol, int maxProtocol, MembershipOptions options, TimeProvider time)
{
    private readonly Dictionary<NodeId, Entry> _entries = [];
    private long? _answersSince;
    private long _lastAnswer;
    private bool _isAnswering;
    private bool _wasSilent;
    private bool _isIncomplete = true;
    private long? _stepStartedAt;
    private int _stepAllowance;

    /// <summary>Members that look dead and are kept, because too many do at once.</summary>
    public ImmutableArray<NodeId> HeldBack { get; private set; } = [];

    /// <summary>Members that the last decision took away.</summary>
    public ImmutableArray<NodeId> Gone { get; private set; } = [];

    public bool IsFrozen => !_isAnswering || (_wasSilent && !HasAnsweredForLong);

    /// <summary>Whether everything has to be read again: after a gap the ages of all beats are wanted, not only changes.</summary>
    public bool NeedsEverything => _isIncomplete || HasPaused;

    /// <summary>A pause of this process is a silence too: it saw nothing of what happened meanwhile.</summary>
    private bool HasPaused => !_isAnswering || time.GetElapsedTime(_lastAnswer) > options.SilentAfter;

    private bool HasAnsweredForLong => _answersSince is { } since && time.GetElapsedTime(since) >= options.FailureTime;

    public void StoreIsSilent()
    {
        _isAnswering = false;
        _wasSilent = _answersSince is not null;
    }

    public void StoreAnswered(BeatReply reply)
    {
        var now = time.GetTimestamp();

        if (HasPaused)
        {
            _wasSilent |= _answersSince is not null;
            _isAnswering = true;
            _isIncomplete = true;
            _answersSince = now;
            ForgetSuspicions();
        }

        _isIncomplete &= !reply.IsComplete;
        _lastAnswer = now;
        foreach (var member in reply.Members)
        {
            Take(member, now);
        }

        foreach (var id in reply.IsComplete ? Absent(reply.Members) : [.. reply.Removed])
        {
            Miss(id, now);
        }

        foreach (var id in reply.Silent)
        {
            Suspect(id, now);
        }
    }

    /// <summary>Takes away who is gone by the rules.</summary>
    public void Decide()
    {
        Gone = [];
        HeldBack = [];
        if (!_isAnswering || !HasAnsweredForLong)
        {
            return;
        }

        _wasSilent = false;
        var doubted = _entries.Values.Where(entry => IsDoubted(entry, options.Confirmation)).OrderBy(entry => entry.SuspectSince).ToList();
        if (doubted.Count == 0)
        {
            return;
        }

        if (_stepStartedAt is not { } startedAt || time.GetElapsedTime(startedAt) >= options.FailureTime)
        {
            _stepStartedAt = time.GetTimestamp();
            _stepAllowance = Math.Max(1, _entries.Values.Count(entry => entry.IsListed) / 3);
        }

        // More at once speaks against the observer. If they stay silent for another failure time, they go, a third at a time.
        var leaving = doubted.Count <= _stepAllowance
            ? doubted
            : [.. doubted.Where(entry => IsDoubted(entry, options.Confirmation + options.FailureTime)).Take(_stepAllowance)];
        foreach (var entry in leaving)
        {
            entry.IsListed = false;
            _stepAllowance--;
        }

        Gone = [.. leaving.Select(entry => entry.Record.Id)];
        HeldBack = [.. doubted.Except(leaving).Select(entry => entry.Record.Id)];
    }

    public ClusterView ToView(long epoch, ClusterIdentity? identity, NodeRecord? own)
    {
        var others = _entries.Values.Where(entry => entry.IsListed && entry.Record.Id != self).Select(entry => entry.Record).ToLookup(Speaks);
        IEnumerable<NodeRecord> usable = own is null ? others[true] : others[true].Append(own);
        return new ClusterView(epoch, [.. usable], IsFrozen)
        {
            Incompatible = [.. others[false].OrderBy(record => record.Id.Value, StringComparer.Ordinal)],
            Identity = identity,
        };
    }

    private bool Speaks(NodeRecord other) => other.MinProtocol <= maxProtocol && minProtocol <= other.MaxProtocol;

    private bool IsDoubted(Entry entry, TimeSpan forAtLeast) =>
        entry.IsListed && entry.Record.Id != self && entry.SuspectSince is { } since && time.GetElapsedTime(since) >= forAtLeast;

    private void Take(StoredMember member, long now)
    {
        var id = member.Record.Id;
        var known = _entries.GetValueOrDefault(id);
        if (member.HasLeft)
        {
            _entries.Remove(id);
            return;
        }

        // A change is only told of by a member that lives or lived lately; an old one may be all that is left of it.
        var isFresh = member.Age <= options.SilentAfter;
        if (known is null)
        {
            _entries.Add(id, new Entry { Record = member.Record, IsListed = isFresh, SuspectSince = isFresh ? null : now });
            return;
        }

        known.Record = member.Record;
        known.IsListed |= isFresh;
        known.SuspectSince = isFresh ? null : known.SuspectSince ?? now;
    }

    /// <summary>The store does not know it any more, which it may have forgotten with everything else.</summary>
    private void Miss(NodeId id, long now)
    {
        Suspect(id, now);
        if (_entries.TryGetValue(id, out var entry) && !entry.IsListed)
        {
            _entries.Remove(id);
        }
    }

    private void Suspect(NodeId id, long now)
    {
        if (_entries.TryGetValue(id, out var entry))
        {
            entry.SuspectSince ??= now;
        }
    }

    private List<NodeId> Absent(ImmutableArray<StoredMember> members)
    {
        var present = members.Select(member => member.Record.Id).ToHashSet();
        return [.. _entries.Keys.Where(id => !present.Contains(id))];
    }

    private void ForgetSuspicions()
    {
        foreach (var entry in _entries.Values)
        {
            entry.SuspectSince = null;
        }
    }

    private sealed class Entry
    {
        public required NodeRecord Record { get; set; }

        public bool IsListed { get; set; }

        /// <summary>Since when it has been silent or absent without interruption, as far as the store answered; null: it is heard.</summary>
        public long? SuspectSince { get; set; }
    }
}
