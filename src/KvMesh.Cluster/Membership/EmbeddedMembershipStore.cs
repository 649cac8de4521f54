using System.Collections.Immutable;
using KvMesh.Protocol.Keys;

namespace KvMesh.Cluster.Membership;

/// <summary>The store inside one process: for a node on its own, and for clusters in one process. Any thread.</summary>
public sealed class EmbeddedMembershipStore : IMembershipStore
{
    private readonly string _cluster;
    private readonly TimeProvider _time;
    private readonly long _began;
    private readonly string _lineage = Guid.NewGuid().ToString("n");
    private readonly Lock _lock = new();
    private readonly Dictionary<NodeId, Slot> _slots = [];
    private ClusterIdentity? _identity;
    private long _incarnation;
    private long _version;
    private long _beats;

    public EmbeddedMembershipStore(string cluster, TimeProvider time)
    {
        _cluster = cluster;
        _time = time;
        _began = time.GetTimestamp();
    }

    public event Action? Changed;

    public string Description => "this process";

    /// <summary>What the store tells of the scheduler in office; set by the lease of the same process.</summary>
    public long SchedulerToken { get; set; }

    public ValueTask<ClusterIdentity> AgreeAsync(ClusterIdentity? known, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (_identity is null || known?.Precedes(_identity) == true)
            {
                _identity = known ?? new ClusterIdentity(_cluster, DigestSecret.Create(), _time.GetUtcNow());
            }

            return ValueTask.FromResult(_identity);
        }
    }

    public ValueTask<JoinReply> JoinAsync(JoinRequest request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        JoinReply reply;
        lock (_lock)
        {
            reply = Join_NeedsLock(request);
        }

        Announce(reply.IsJoined);
        return ValueTask.FromResult(reply);
    }

    public ValueTask<BeatReply> BeatAsync(BeatRequest request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        BeatReply reply;
        bool hasChanged;
        lock (_lock)
        {
            (reply, hasChanged) = Beat_NeedsLock(request);
        }

        Announce(hasChanged);
        return ValueTask.FromResult(reply);
    }

    public ValueTask<BeatOutcome> RenewAsync(NodeId id, long incarnation, string owner, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            var slot = _slots.GetValueOrDefault(id);
            var outcome = OutcomeOf(slot, incarnation, owner);
            if (outcome == BeatOutcome.Member)
            {
                slot!.Beat = ++_beats;
                slot.BeatAt = _time.GetTimestamp();
            }

            return ValueTask.FromResult(outcome);
        }
    }

    public ValueTask LeaveAsync(NodeId id, long incarnation, CancellationToken cancellationToken)
    {
        var hasLeft = false;
        lock (_lock)
        {
            if (_slots.TryGetValue(id, out var slot) && slot.Record.Incarnation == incarnation && !slot.HasLeft)
            {
                slot.HasLeft = hasLeft = true;
                slot.Version = ++_version;
            }
        }

        Announce(hasLeft);
        return ValueTask.CompletedTask;
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private JoinReply Join_NeedsLock(JoinRequest request)
    {
        var id = request.Record.Id;
        if (_slots.TryGetValue(id, out var holder) && !holder.HasLeft && !Yields(holder, request))
        {
            return new JoinReply(0, holder.Describe());
        }

        var incarnation = request.IsReturn ? request.Record.Incarnation : Math.Max(_incarnation + 1, request.Record.Incarnation);
        _incarnation = Math.Max(_incarnation, incarnation);
        _slots[id] = new Slot
        {
            Record = request.Record with { Incarnation = incarnation },
            Owner = request.Owner,
            Since = _time.GetUtcNow(),
            BeatAt = _time.GetTimestamp(),
            Beat = ++_beats,
            Version = ++_version,
        };
        return new JoinReply(incarnation, null);
    }

    private static bool Yields(Slot holder, JoinRequest request)
    {
        var isOwn = request.Owner.Length > 0 && holder.Owner == request.Owner;
        return (isOwn && (request.IsReturn ? holder.Record.Incarnation == request.Record.Incarnation : request.MayReplaceOwn))
            || request.Silent == new HolderMark(holder.Record.Incarnation, holder.Beat);
    }

    private (BeatReply Reply, bool HasChanged) Beat_NeedsLock(BeatRequest request)
    {
        var slot = _slots.GetValueOrDefault(request.Id);
        var outcome = OutcomeOf(slot, request.Incarnation, request.Owner);
        var hasChanged = outcome == BeatOutcome.Member && Renew_NeedsLock(slot!, request);
        var now = _time.GetElapsedTime(_began);
        if (outcome == BeatOutcome.Unknown)
        {
            return (new BeatReply(outcome, null, new StoreMark(_lineage, _version, now), false, [], [], [], SchedulerToken), false);
        }

        var isComplete = request.Seen.Lineage != _lineage;
        var named = isComplete ? TimeSpan.MaxValue : now - request.Seen.Time + request.SilentAfter;
        ImmutableArray<StoredMember> members = [.. _slots.Values.Where(other => isComplete || other.Version > request.Seen.Version)
            .Select(other => new StoredMember(other.Record, other.HasLeft, Age(other) > request.SilentAfter))];
        ImmutableArray<NodeId> silent = [.. _slots.Values.Where(other => Age(other) is var age && age > request.SilentAfter && age <= named)
            .Select(other => other.Record.Id)];
        var heard = request.Doubted.Where(id => _slots.TryGetValue(id, out var other) && Age(other) <= request.SilentAfter);
        return (new BeatReply(
            outcome, outcome == BeatOutcome.Fenced ? slot!.Describe() : null, new StoreMark(_lineage, _version, now), isComplete,
            members, [], silent, SchedulerToken)
        {
            Heard = [.. heard],
            IsBehind = (silent.Length > 0 || request.Doubted.Length > 0) && IsBehind_NeedsLock(request.SilentAfter),
        }, hasChanged);
    }

    private static BeatOutcome OutcomeOf(Slot? slot, long incarnation, string owner) => slot is null ? BeatOutcome.Unknown
        : slot.HasLeft || slot.Record.Incarnation != incarnation || slot.Owner != owner ? BeatOutcome.Fenced
        : BeatOutcome.Member;

    private bool IsBehind_NeedsLock(TimeSpan silentAfter)
    {
        var recent = _slots.Values.Count(slot => Age(slot) <= silentAfter * 2);
        return recent - _slots.Values.Count(slot => Age(slot) <= silentAfter / 2) > Math.Max(1, recent / 3);
    }

    /// <summary>Whether others should hear of it: the record changed. That a member beats late is no news; who doubts it asks.</summary>
    private bool Renew_NeedsLock(Slot slot, BeatRequest request)
    {
        var record = request.Changed is { } changed ? changed with { Incarnation = request.Incarnation } : slot.Record;
        var hasChanged = record != slot.Record;
        slot.Record = record;
        slot.Beat = ++_beats;
        slot.BeatAt = _time.GetTimestamp();
        slot.Version = hasChanged ? ++_version : slot.Version;
        return hasChanged;
    }

    private TimeSpan Age(Slot slot) => _time.GetElapsedTime(slot.BeatAt);

    private void Announce(bool hasChanged)
    {
        if (hasChanged)
        {
            Changed?.Invoke();
        }
    }

    private sealed class Slot
    {
        public required NodeRecord Record { get; set; }

        public required string Owner { get; init; }

        public required DateTimeOffset Since { get; init; }

        public bool HasLeft { get; set; }

        public long Beat { get; set; }

        public long BeatAt { get; set; }

        /// <summary>When its record changed, or it joined or left.</summary>
        public long Version { get; set; }

        public IdHolder Describe() => new(Record, new HolderMark(Record.Incarnation, Beat), Since);
    }
}
