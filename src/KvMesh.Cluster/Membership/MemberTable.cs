using System.Collections.Immutable;

namespace KvMesh.Cluster.Membership;

/// <summary>
/// What one node believes about the others: takes the store's answers and silences, and decides who is gone. Its rules:
/// silence of the store says nothing about a node, and what it says in the first failure time after a silence takes nobody away;
/// a node that the store calls silent goes only when the store says so again, asked after everybody who lives would have beaten; nothing is held
/// against anybody while the store is behind; and one step takes no more than a third of the nodes. So it is the store that sees a node dead, twice, and
/// never this node's own waiting. One thread; time is monotonic and local.
/// </summary>
internal sealed class MemberTable(NodeId self, int minProtocol, int maxProtocol, MembershipOptions options, TimeProvider time)
{
    /// <summary>Most members that are asked after with one beat: those that may go soon, and some of those that are gone, in turn.</summary>
    private const int MostDoubted = 128;
    private const int MostGoneAsked = 32;

    /// <summary>Who read longer ago reads everything: what a member that is silent for an hour leaves behind is told for another hour.</summary>
    private static readonly TimeSpan LongestGap = TimeSpan.FromMinutes(30);

    private readonly Dictionary<NodeId, Entry> _entries = [];
    private long? _answersSince;
    private long _lastAnswer;
    private TimeSpan? _storeTime;
    private int _doubtedUpTo;
    private int _goneUpTo;
    private bool _isAnswering;
    private bool _wasSilent;
    private bool _isBehind;
    private bool _isIncomplete = true;
    private long? _stepStartedAt;
    private int _stepAllowance;

    /// <summary>Members that look dead and are kept, because too many do at once.</summary>
    public ImmutableArray<NodeId> HeldBack { get; private set; } = [];

    /// <summary>Members that the last decision took away.</summary>
    public ImmutableArray<NodeId> Gone { get; private set; } = [];

    /// <summary>Grows with whatever a view would show.</summary>
    public long Edition { get; private set; }

    /// <summary>
    /// While the store is silent, and one failure time after, as long as anybody is doubted: a store that answers, is not behind and names nobody leaves
    /// nothing to wait for.
    /// </summary>
    public bool IsFrozen => !_isAnswering || (_wasSilent && !HasAnsweredForLong && (_isBehind || _entries.Values.Any(entry => entry is { IsListed: true, SuspectSince: not null })));

    /// <summary>
    /// Whether everything has to be read again. Changes are numbered and who falls silent is named once, so that a gap loses nothing: a
    /// thousand members that waited for a slow store do not all ask it for everything.
    /// </summary>
    public bool NeedsEverything => _isIncomplete;

    /// <summary>
    /// Members to ask after, in turn: those that were named silent, until they are heard, and those that are gone. So late beats are told to who doubts,
    /// and are no news to everybody, however many are late.
    /// </summary>
    public ImmutableArray<NodeId> TakeDoubted()
    {
        var doubted = _entries.Values.Where(entry => entry.SuspectSince is not null).ToLookup(entry => entry.IsListed, entry => entry.Record.Id);
        return doubted.Count == 0 ? [] : [.. InTurn([.. doubted[true]], MostDoubted, ref _doubtedUpTo), .. InTurn([.. doubted[false]], MostGoneAsked, ref _goneUpTo)];
    }

    /// <summary>A pause of this process is a silence too: it saw nothing of what happened meanwhile.</summary>
    private bool HasPaused => !_isAnswering || time.GetElapsedTime(_lastAnswer) > options.SilentAfter;

    private bool HasAnsweredForLong => _answersSince is { } since && time.GetElapsedTime(since) >= options.FailureTime;

    public void StoreIsSilent()
    {
        _isAnswering = false;
        _wasSilent = _answersSince is not null;
    }

    /// <summary>The store took a sign of life, and the answer to what it was asked is on its way: that is no pause.</summary>
    public void StoreLives() => _lastAnswer = _isAnswering ? time.GetTimestamp() : _lastAnswer;

    /// <param name="asked">After whom it was asked.</param>
    /// <param name="askedAt">When, as a timestamp.</param>
    public void StoreAnswered(ImmutableArray<NodeId> asked, long askedAt, BeatReply reply)
    {
        var now = time.GetTimestamp();
        _isIncomplete |= MayHaveMissed(reply) || reply.Outcome == BeatOutcome.Unknown;
        if (HasPaused)
        {
            _wasSilent |= _answersSince is not null;
            _isAnswering = true;
            _answersSince = now;
            BeginSuspicionsAgain(now);
        }

        _isIncomplete &= !reply.IsComplete;
        (_lastAnswer, _storeTime) = (now, reply.Mark.Time);
        foreach (var member in reply.Members)
        {
            Take(member, now);
        }

        foreach (var id in reply.IsComplete ? Absent(reply.Members) : [.. reply.Removed])
        {
            Miss(id, now);
        }

        Hear(reply);
        foreach (var id in reply.Silent)
        {
            Suspect(id, now);
        }

        _isBehind = reply.IsBehind;
        if (_isBehind)
        {
            BeginSuspicionsAgain(now);
        }
        else
        {
            Confirm(asked, askedAt);
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
            Edition++;
            if (entry.IsAbsent)
            {
                _entries.Remove(entry.Record.Id);
            }
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

    /// <summary>Who is absent from a store that lost everything has only to come back, which takes as long as connecting and two refusals.</summary>
    private bool IsDoubted(Entry entry, TimeSpan forAtLeast) =>
        entry.IsListed && entry.Record.Id != self && entry.SuspectSince is not null
        && entry.SilentFor >= forAtLeast + (entry.IsAbsent ? options.FailureTime : TimeSpan.Zero);

    /// <summary>They were not heard when the store was asked after them.</summary>
    private void Confirm(ImmutableArray<NodeId> asked, long askedAt)
    {
        foreach (var id in asked)
        {
            if (_entries.TryGetValue(id, out var entry) && entry.SuspectSince is { } since && since < askedAt)
            {
                entry.SilentFor = time.GetElapsedTime(since, askedAt);
            }
        }
    }

    private void Take(StoredMember member, long now)
    {
        var id = member.Record.Id;
        Edition++;
        if (member.HasLeft)
        {
            _entries.Remove(id);
            return;
        }

        if (!_entries.TryGetValue(id, out var entry))
        {
            entry = new Entry { Record = member.Record };
            _entries.Add(id, entry);
        }

        // A change is only told of by a member that lives or lived lately; an old one may be all that is left of it.
        entry.Record = member.Record;
        entry.IsListed |= !member.IsSilent;
        entry.IsAbsent = false;
        entry.Doubt(member.IsSilent ? entry.SuspectSince ?? now : null);
    }

    private void Hear(BeatReply reply)
    {
        foreach (var id in reply.Heard)
        {
            if (_entries.TryGetValue(id, out var entry))
            {
                Edition += entry.IsListed ? 0 : 1;
                entry.IsListed = true;
                entry.Doubt(null);
            }
        }
    }

    private bool MayHaveMissed(BeatReply reply) => _storeTime is { } before && (reply.Mark.Time - before).Duration() > LongestGap;

    private static List<NodeId> InTurn(List<NodeId> all, int most, ref int upTo)
    {
        if (all.Count <= most)
        {
            return all;
        }

        upTo = (upTo + most) % all.Count;
        return [.. all.Concat(all).Skip(upTo).Take(most)];
    }

    /// <summary>The store does not know it any more, which it may have forgotten with everything else.</summary>
    private void Miss(NodeId id, long now)
    {
        Suspect(id, now);
        if (!_entries.TryGetValue(id, out var entry))
        {
            return;
        }

        entry.IsAbsent = true;
        if (!entry.IsListed)
        {
            _entries.Remove(id);
        }
    }

    private void Suspect(NodeId id, long now)
    {
        if (_entries.TryGetValue(id, out var entry))
        {
            entry.Doubt(entry.SuspectSince ?? now);
        }
    }

    private List<NodeId> Absent(ImmutableArray<StoredMember> members)
    {
        var present = members.Select(member => member.Record.Id).ToHashSet();
        return [.. _entries.Keys.Where(id => !present.Contains(id))];
    }

    /// <summary>After a pause nothing that was said before it counts as confirmed; who lives beats now, and that is told.</summary>
    private void BeginSuspicionsAgain(long now)
    {
        foreach (var entry in _entries.Values)
        {
            entry.Doubt(entry.SuspectSince is null ? null : now);
        }
    }

    private sealed class Entry
    {
        public required NodeRecord Record { get; set; }

        public bool IsListed { get; set; }

        /// <summary>Since when it has been silent or absent without interruption, as far as the store answered; null: it is heard.</summary>
        public long? SuspectSince { get; private set; }

        /// <summary>How long after that the store was last asked after it and had not heard it.</summary>
        public TimeSpan SilentFor { get; set; }

        /// <summary>The store does not know it.</summary>
        public bool IsAbsent { get; set; }

        public void Doubt(long? since)
        {
            SilentFor = since == SuspectSince ? SilentFor : TimeSpan.Zero;
            SuspectSince = since;
        }
    }
}
