using KvMesh.Protocol.Sequences;

namespace KvMesh.Cluster.Sequences;

/// <summary>A sequence among those of all tenants. The tenant comes from the caller's credential, never from the name.</summary>
public readonly record struct SequenceId(string Tenant, string Name)
{
    /// <summary>Tenant and name in one text; the last '/' divides them, since no name has one.</summary>
    public override string ToString() => $"{Tenant}/{Name}";
}

/// <summary>What a command did, as news for schedulers and watchers. Events describe; they decide nothing.</summary>
/// <param name="At">Unix milliseconds.</param>
/// <param name="EndsPin">Whether the sequence had a pin before and has none now.</param>
/// <param name="LosslessOnly">Whether its blocks may lose nothing.</param>
public readonly record struct SequenceEvent(SequenceId Id, SequenceEventKind Kind, long Version, long At, bool EndsPin = false, bool LosslessOnly = false);

/// <summary>Sent and listed: append only.</summary>
public enum SequenceEventKind : byte
{
    Opened = 1,
    Taken = 2,
    Appended = 3,
    Forked = 4,
    PinPending = 5,
    PinHeld = 6,
    PinLost = 7,
    PinLifted = 8,
    Parked = 9,
    Resumed = 10,
    Closed = 11,
    Expired = 12,
    ForkEnded = 13,
}

/// <summary>What sequences take from a tenant's quota.</summary>
/// <param name="PinnedBytes">Bytes of pinned blocks times the copies asked for.</param>
public readonly record struct SequenceUsage(long Sequences, long Segments, long PinnedBytes)
{
    public bool IsZero => this == default;

    public static SequenceUsage operator +(SequenceUsage left, SequenceUsage right) =>
        new(left.Sequences + right.Sequences, left.Segments + right.Segments, left.PinnedBytes + right.PinnedBytes);

    public static SequenceUsage operator -(SequenceUsage left, SequenceUsage right) =>
        new(left.Sequences - right.Sequences, left.Segments - right.Segments, left.PinnedBytes - right.PinnedBytes);

    /// <summary>What a head counts as. Rows that forks still need count until they are gone.</summary>
    public static SequenceUsage Of(SequenceHead? head) => head switch
    {
        null => default,
        { State: SequenceState.Closed } => new(0, head.Forks > 0 ? head.OwnSegments : 0, 0),
        _ => new(1, head.OwnSegments, head.Pin.State == PinState.None ? 0 : head.PinnedBytes),
    };

    /// <summary>Each figure the larger of both.</summary>
    public static SequenceUsage Max(SequenceUsage left, SequenceUsage right) => new(
        Math.Max(left.Sequences, right.Sequences), Math.Max(left.Segments, right.Segments), Math.Max(left.PinnedBytes, right.PinnedBytes));

    /// <summary>Each figure the smaller of both.</summary>
    public static SequenceUsage Min(SequenceUsage left, SequenceUsage right) => new(
        Math.Min(left.Sequences, right.Sequences), Math.Min(left.Segments, right.Segments), Math.Min(left.PinnedBytes, right.PinnedBytes));

    /// <summary>Whether no figure of this is above the other's, figures at or below 0 aside: giving back is always allowed.</summary>
    public bool FitsInto(SequenceUsage free) =>
        (Sequences <= 0 || Sequences <= free.Sequences) && (Segments <= 0 || Segments <= free.Segments) && (PinnedBytes <= 0 || PinnedBytes <= free.PinnedBytes);
}
