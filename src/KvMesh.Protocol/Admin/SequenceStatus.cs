namespace KvMesh.Protocol.Admin;

/// <summary>A sequence at one moment.</summary>
/// <param name="State">active, parked or closed.</param>
/// <param name="Epoch">What its owner names in commands.</param>
/// <param name="LastHash">Chain hash of the last block, 64 hexadecimal digits; zeros while there is none.</param>
/// <param name="Holder">Who has it; while it is parked, who is expected to resume it.</param>
/// <param name="Origin">Null unless it is a fork.</param>
/// <param name="EndsAt">Its absolute end.</param>
/// <param name="ReturnAt">When it is expected to be resumed; null: unknown.</param>
/// <param name="IsRepetition">Whether the command that this answers had been done before, under the same request id.</param>
public sealed record SequenceStatus(
    string Tenant,
    string Name,
    string State,
    long Epoch,
    long Version,
    long Blocks,
    long Tokens,
    long Bytes,
    int Segments,
    string LastHash,
    string Model,
    string Revision,
    int Parts,
    string Holder,
    SequencePinStatus? Pin,
    SequenceOriginStatus? Origin,
    int Forks,
    DateTimeOffset CreatedAt,
    DateTimeOffset UsedAt,
    DateTimeOffset EndsAt,
    double IdleLimitSeconds,
    DateTimeOffset? ReturnAt,
    bool IsRepetition)
{
    /// <summary>Whether no copy of its blocks may lose anything.</summary>
    public bool LosslessOnly { get; init; }
}

/// <summary>A pin.</summary>
/// <param name="State">pending until as many copies as asked were verified, then held.</param>
/// <param name="Copies">Copies that were verified last.</param>
/// <param name="Blocks">Blocks that it covers.</param>
public sealed record SequencePinStatus(string State, int Replicas, int Copies, long Blocks, DateTimeOffset Until);

/// <summary>Where a fork left its origin.</summary>
public sealed record SequenceOriginStatus(string Name, int Segments, long Blocks);

/// <summary>A page of sequences, in order of names.</summary>
/// <param name="Next">What to list behind next; null: that was all.</param>
public sealed record SequenceList(IReadOnlyList<SequenceStatus> Sequences, string? Next);

/// <summary>A run of consecutive blocks.</summary>
/// <param name="Places">Where it is, when that was asked for: empty: nowhere that the node knows of; null: it did not learn it in time.</param>
public sealed record SegmentStatus(
    int Index, long StartBlock, long Blocks, long StartToken, long Tokens, long Bytes, string FirstHash, string LastHash,
    IReadOnlyList<SegmentPlace>? Places = null);

/// <summary>
/// A place that holds a segment. The node that answers knows its own blocks; of the others it says what the block map says, which may be wrong for a
/// moment.
/// </summary>
/// <param name="Node">Id of the node; empty: Redis.</param>
/// <param name="IsWhole">Whether its last block is there, and with it those before; false: only its beginning is, or some of its parts.</param>
/// <param name="Tiers">"host", "disk" of the node that answers; "redis"; empty for other nodes.</param>
public sealed record SegmentPlace(string Node, bool IsWhole, IReadOnlyList<string> Tiers);

/// <summary>A page of segments. It may be shorter than asked for where an origin's rows end.</summary>
public sealed record SegmentList(int Total, int First, IReadOnlyList<SegmentStatus> Segments);
