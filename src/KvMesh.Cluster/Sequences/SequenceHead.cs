using System.Collections.Immutable;
using KvMesh.Protocol.Sequences;

namespace KvMesh.Cluster.Sequences;

/// <summary>
/// All that a step of a sequence needs to know: at most 1 KiB, whatever the sequence holds. Immutable; a step makes the next version.
/// Times are Unix milliseconds.
/// </summary>
public sealed record SequenceHead
{
    /// <summary>Grows by one with every step; the store writes a head only over the version that it was made from.</summary>
    public long Version { get; init; }

    /// <summary>
    /// 24 bits that the step drew at random which wrote this version. After a failover of a store that lost steps another history may reach the same version; a
    /// step is written only over the one that it was made from.
    /// </summary>
    public int Stamp { get; init; }

    public SequenceState State { get; init; } = SequenceState.Active;

    /// <summary>Who opened or resumed the sequence last knows it. Commands with another one change nothing.</summary>
    public long Epoch { get; init; }

    /// <summary>Scope of part 0.</summary>
    public ReadOnlyMemory<byte> Scope { get; init; }

    public int Parts { get; init; } = 1;

    public string Holder { get; init; } = "";

    public long Blocks { get; init; }

    public long Tokens { get; init; }

    public long Bytes { get; init; }

    /// <summary>Rows of the sequence, those that it shares with its origin included.</summary>
    public int Segments { get; init; }

    public BlockHash LastHash { get; init; }

    public long CreatedAt { get; init; }

    public long TouchedAt { get; init; }

    public long IdleMilliseconds { get; init; }

    /// <summary>The absolute end. A fork's is never behind its origin's, so that shared rows live as long as any fork.</summary>
    public long ExpiresAt { get; init; }

    /// <summary>Names the rows of this life of the sequence: its name may be used again.</summary>
    public ulong RowsId { get; init; }

    public int Forks { get; init; }

    public SequenceOrigin Origin { get; init; } = SequenceOrigin.None;

    /// <summary>Whether no copy of its blocks may lose anything. Never taken back: what was kept exact for it so far is what it counts on.</summary>
    public bool LosslessOnly { get; init; }

    public PinStatus Pin { get; init; }

    /// <summary>Bytes that the pin takes from the quota.</summary>
    public long PinnedBytes { get; init; }

    public long ReturnAt { get; init; }

    /// <summary>When it was parked; 0: it is not.</summary>
    public long ParkedAt { get; init; }

    /// <summary>How long it rested the last times, in milliseconds, oldest first (<see cref="RestTimes"/>).</summary>
    public ImmutableArray<uint> Rests { get; init; } = [];

    public long ClosedAt { get; init; }

    /// <summary>The last commands that changed it, oldest first.</summary>
    public ImmutableArray<RememberedRequest> Recent { get; init; } = [];

    /// <summary>Fields of a later version of the program, kept as they are so that a mixed fleet loses nothing.</summary>
    public ReadOnlyMemory<byte> Unknown { get; init; }

    /// <summary>Rows that are its own.</summary>
    public int OwnSegments => Segments - Origin.Segments;

    /// <summary>When it ends without another command. A pin keeps it until the pin's end.</summary>
    public long EndsAt => Math.Min(ExpiresAt, Math.Max(TouchedAt + IdleMilliseconds, Pin.State == PinState.None ? 0 : Pin.Until));

    /// <summary>How long the store must keep this head.</summary>
    public long KeepUntil(SequenceRules rules) => State switch
    {
        _ when Forks > 0 => ExpiresAt,
        SequenceState.Closed => Math.Min(ClosedAt + (long)rules.ClosedRetention.TotalMilliseconds, Math.Max(ExpiresAt, ClosedAt + 1)),
        _ => EndsAt,
    };

    /// <summary>Whether nobody needs its own rows any more.</summary>
    public bool HasDroppedRows => State == SequenceState.Closed && Forks == 0;

    /// <summary>The head as the doors show it at this moment.</summary>
    public SequenceInfo ToInfo(string name, long now) => new()
    {
        Name = name,
        State = State,
        Epoch = Epoch,
        Version = Version,
        Blocks = Blocks,
        Tokens = Tokens,
        Bytes = Bytes,
        Segments = Segments,
        LastHash = LastHash,
        Scope = Scope,
        Parts = Parts,
        Holder = Holder,
        Pin = Pin.Until > now ? Pin : Pin with { State = PinState.None },
        Origin = Origin,
        LosslessOnly = LosslessOnly,
        Forks = Forks,
        CreatedAt = CreatedAt,
        TouchedAt = TouchedAt,
        ExpiresAt = ExpiresAt,
        IdleMilliseconds = IdleMilliseconds,
        ReturnAt = ReturnAt,
        ParkedAt = ParkedAt,
        Rests = Rests.Length,
        UsualRestMilliseconds = RestTimes.Usual(Rests.AsSpan()),
    };
}

/// <summary>A command that changed a head, so that its repetition changes nothing.</summary>
/// <param name="Kind">Its kind: one id stands for one command.</param>
/// <param name="Epoch">The epoch that was in force after it.</param>
public readonly record struct RememberedRequest(ulong RequestId, SequenceEventKind Kind, long Epoch);
