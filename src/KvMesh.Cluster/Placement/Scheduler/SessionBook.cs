using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Sequences;
using KvMesh.Protocol.Placement;
using KvMesh.Protocol.Sequences;

namespace KvMesh.Cluster.Placement.Scheduler;

/// <summary>
/// The sequences that ask something of placement: pinned ones, parked ones that are expected back, and those whose blocks may lose nothing. It hears of them from the nodes' reports and finds the
/// rest, those of nodes that are gone too, by reading through all sequences again and again. One whose return is only guessed is looked at when that comes near.
/// One caller at a time.
/// </summary>
/// <param name="lookAhead">How long before a guessed return a sequence is looked after.</param>
internal sealed class SessionBook(ISequenceHost sequences, IReadOnlyList<string> tenants, TimeSpan lookAhead, TimeProvider time)
{
    /// <summary>Sequences that are looked after at a time.</summary>
    public const int MaxSessions = 65_536;

    /// <summary>Heads that are read in one step.</summary>
    private const int MaxReads = 1024;

    /// <summary>Pages of the read through all sequences in one step.</summary>
    private const int PagesPerStep = 2;

    private const int PageSize = 256;

    private static readonly TimeSpan RoundPause = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan ParkedLook = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan HeldLook = TimeSpan.FromSeconds(20);

    /// <summary>How long after its expected return a parked sequence is still waited for.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromMinutes(1);

    private readonly Dictionary<SequenceId, Session> _sessions = [];
    private readonly ReturnForecast _forecast = new();
    private readonly PriorityQueue<SequenceId, long> _later = new();
    private readonly Dictionary<SequenceId, long> _lookAt = [];
    private int _tenant;
    private string _after = "";
    private long? _roundEndedAt;
    private bool _wasRead;
    private bool _lacksSome;

    public IReadOnlyCollection<Session> Sessions => _sessions.Values;

    /// <summary>Pins that wait for their copies, and for how long the oldest of them has.</summary>
    public (int Count, TimeSpan Longest) Pending()
    {
        var since = _sessions.Values.Where(session => session.PendingSince is not null).Select(session => session.PendingSince!.Value).ToList();
        return (since.Count, since.Count == 0 ? TimeSpan.Zero : time.GetElapsedTime(since.Min()));
    }

    /// <summary>Whether every pin of a tenant is among these: all its sequences were read since this scheduler began, and none was left out.</summary>
    public bool KnowsPinsOf(string tenant) => _wasRead && !_lacksSome && tenants.Contains(tenant, StringComparer.Ordinal);

    public async ValueTask RefreshAsync(IEnumerable<SessionName> news, CancellationToken cancellationToken)
    {
        var due = news.Select(name => new SequenceId(name.Tenant, name.Name))
            .Concat(NearReturns())
            .Concat(_sessions.Values.Where(IsDue).OrderBy(session => session.LookedAt).Select(session => session.Id))
            .Distinct()
            .Take(MaxReads)
            .ToList();
        foreach (var batch in due.Chunk(NodeTalk.Concurrency))
        {
            var replies = await Task.WhenAll(batch.Select(id => sequences.FindAsync(id, cancellationToken).AsTask())).ConfigureAwait(false);
            for (var index = 0; index < batch.Length; index++)
            {
                Take(batch[index], replies[index]);
            }
        }

        await ReadOnAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Sequences whose guessed return has come near; the guess is made anew when their heads are read.</summary>
    private List<SequenceId> NearReturns()
    {
        var near = new List<SequenceId>();
        while (near.Count < MaxReads / 2 && _later.TryPeek(out var id, out var lookAt) && lookAt <= Now)
        {
            _later.Dequeue();
            if (_lookAt.GetValueOrDefault(id) == lookAt)
            {
                _lookAt.Remove(id);
                near.Add(id);
            }
        }

        return near;
    }

    private bool IsDue(Session session) => session.Info.Pin.State switch
    {
        PinState.Pending => true,
        PinState.Held => session.Info.Pin.Until <= time.GetUtcNow().ToUnixTimeMilliseconds() || time.GetElapsedTime(session.LookedAt) >= HeldLook,
        _ => time.GetElapsedTime(session.LookedAt) >= ParkedLook,
    };

    /// <summary>Reads some more of all sequences.</summary>
    private async ValueTask ReadOnAsync(CancellationToken cancellationToken)
    {
        for (var page = 0; page < PagesPerStep && tenants.Count > 0; page++)
        {
            if (_roundEndedAt is { } at && time.GetElapsedTime(at) < RoundPause)
            {
                return;
            }

            _roundEndedAt = null;
            var tenant = tenants[_tenant % tenants.Count];
            var listed = await sequences.ListAsync(tenant, _after, PageSize, cancellationToken).ConfigureAwait(false);
            if (listed.Refusal != SequenceRefusal.None)
            {
                return;
            }

            foreach (var info in listed.Sequences)
            {
                Take(new SequenceId(tenant, info.Name), new SequenceReply(SequenceRefusal.None, info, "", false));
            }

            _after = listed.Next;
            if (_after.Length == 0 && ++_tenant % tenants.Count == 0)
            {
                _roundEndedAt = time.GetTimestamp();
                _wasRead = true;
            }
        }
    }

    private void Take(SequenceId id, SequenceReply reply)
    {
        if (reply.Refusal == SequenceRefusal.Unavailable)
        {
            return;
        }

        if (reply is { IsOk: true, Info: { } known })
        {
            _forecast.Learn(id.Tenant, known);
        }

        var expected = reply is { IsOk: true, Info: { } parked } ? _forecast.Of(id.Tenant, parked) : null;
        if (!reply.IsOk || reply.Info is not { } info || !AsksSomething(id, info, expected))
        {
            _sessions.Remove(id);
            return;
        }

        var now = time.GetTimestamp();
        if (_sessions.TryGetValue(id, out var session))
        {
            session.Info = info;
            session.LookedAt = now;
        }
        else if (_sessions.Count < MaxSessions)
        {
            session = new Session(id, info, time) { LookedAt = now };
            _sessions.Add(id, session);
        }
        else
        {
            _lacksSome = true;
        }

        if (session is not null)
        {
            session.PendingSince = info.Pin.State == PinState.Pending ? session.PendingSince ?? now : null;
            session.Expected = expected;
        }
    }

    private bool AsksSomething(SequenceId id, SequenceInfo info, (long At, bool IsGuess)? expected)
    {
        if (info.State == SequenceState.Closed || info.Blocks == 0)
        {
            return false;
        }

        if (info.LosslessOnly || (info.Pin.State != PinState.None && info.Pin.Until > Now))
        {
            return true;
        }

        if (expected is not { } at || at.At <= Now - (long)Grace.TotalMilliseconds)
        {
            return false;
        }

        var lookAt = at.At - (long)lookAhead.TotalMilliseconds;
        if (!at.IsGuess || lookAt <= Now)
        {
            return true;
        }

        // An entry of an earlier guess stays in the queue and is passed over.
        if (_later.Count < MaxSessions && _lookAt.GetValueOrDefault(id) != lookAt)
        {
            _lookAt[id] = lookAt;
            _later.Enqueue(id, lookAt);
        }

        return false;
    }

    private long Now => time.GetUtcNow().ToUnixTimeMilliseconds();
}

/// <summary>
/// A sequence that asks something of placement, and what the scheduler knows of it. Written by its steps, one after the other; the keeper of pins reads it beside
/// them, and writes its copies and what the sequence answered.
/// </summary>
internal sealed class Session(SequenceId id, SequenceInfo info, TimeProvider time)
{
    private SequenceInfo _info = info;
    private SessionCut _cut = new(default, []);

    public SequenceId Id => id;

    public SequenceInfo Info
    {
        get => Volatile.Read(ref _info);
        set => Volatile.Write(ref _info, value);
    }

    public long LookedAt { get; set; }

    /// <summary>When it is expected to be resumed (Unix milliseconds), and whether that is a guess from earlier rests; null: it is not.</summary>
    public (long At, bool IsGuess)? Expected { get; set; }

    /// <summary>Since when this scheduler sees its pin wait for copies; null: it has no pin, or one that is held.</summary>
    public long? PendingSince { get; set; }

    /// <summary>Its runs, and for which state of the sequence they were made: one value, since who confirms a pin must know whose blocks were verified.</summary>
    public SessionCut Cut
    {
        get => Volatile.Read(ref _cut);
        set => Volatile.Write(ref _cut, value);
    }

    /// <summary>Its blocks in runs, each part for itself; empty until they are known.</summary>
    public IReadOnlyList<ChainPrefix> Runs => Cut.Runs;

    /// <summary>When its blocks could not be found the last time; null: they could.</summary>
    public long? FailedAt { get; set; }

    /// <summary>Why its blocks could not be found the last time that they could not.</summary>
    public string Unknown { get; set; } = "";

    /// <summary>Whether this scheduler has asked for the copies of its pin, as it is now, at least once.</summary>
    public bool WasCounted { get; set; }

    /// <summary>Verified copies of its pin.</summary>
    public PinCopies Copies { get; } = new(time);

    /// <summary>Whether blocks are to be brought or kept somewhere for it.</summary>
    public bool IsPlaced => IsPinned || Expected is not null;

    /// <summary>When nodes were told what its blocks are last, and of which runs.</summary>
    public (long At, SessionCut Cut)? ToldLossless { get; set; }

    /// <summary>Whether a pin is in force.</summary>
    public bool IsPinned => Info.Pin.State != PinState.None;

    /// <summary>Whether the pin has a use for a hold on this node: it counts there, or there are too few that count.</summary>
    public bool Wants(int run, ClusterView view, (NodeId Node, long Incarnation) holder) => Copies.Wants(run, view, holder, Info.Pin.Replicas);

    /// <summary>Blocks that placement looks after: those of the pin, or all where there is none.</summary>
    public long Blocks => IsPinned ? Info.Pin.Blocks : Info.Blocks;
}

/// <summary>Runs of a sequence in a state of it. Immutable.</summary>
internal sealed record SessionCut(RunsState Of, IReadOnlyList<ChainPrefix> Runs);

/// <summary>A state of a sequence as far as its runs depend on it.</summary>
/// <param name="Pin">Number of the pin that they are for; 0 without one.</param>
/// <param name="LastHash">Last block of a sequence without a pin.</param>
internal readonly record struct RunsState(uint Pin, BlockHash LastHash, long Blocks);
