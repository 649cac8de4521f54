namespace KvMesh.Protocol.Sequences;

/// <summary>Where a sequence is in its life. Stored and sent: append only.</summary>
public enum SequenceState : byte
{
    Active = 1,

    /// <summary>Between turns: it takes no segments until somebody resumes it.</summary>
    Parked = 2,

    /// <summary>Ended. It is remembered for a while, and its rows as long as forks need them.</summary>
    Closed = 3,
}

/// <summary>What became of a pin. Stored and sent: append only.</summary>
public enum PinState : byte
{
    /// <summary>Nothing is pinned.</summary>
    None = 0,

    /// <summary>Asked for; fewer copies than asked were verified so far. No promise yet.</summary>
    Pending = 1,

    /// <summary>As many copies as asked were read back and verified. This is the acknowledgement.</summary>
    Held = 2,
}

/// <summary>Why a command changed nothing. Sent on the wire: append only.</summary>
public enum SequenceRefusal : byte
{
    None = 0,
    NotFound = 1,

    /// <summary>It exists with another scope, number of parts or origin.</summary>
    AlreadyExists = 2,

    /// <summary>Somebody else has taken the sequence since.</summary>
    StaleEpoch = 3,

    /// <summary>The parent that was named is not the last block.</summary>
    WrongParent = 4,
    Closed = 5,

    /// <summary>It is parked: resume it first.</summary>
    Parked = 6,

    /// <summary>The tenant has used up its sequences, segments or pinned bytes.</summary>
    QuotaExceeded = 7,

    /// <summary>One of the limits of a single sequence would be passed.</summary>
    TooLarge = 8,

    /// <summary>The pin was replaced, lifted or has run out.</summary>
    StalePin = 9,

    /// <summary>The block is behind the end of the sequence, or the hash is not that block's.</summary>
    WrongBlock = 10,

    /// <summary>The command itself makes no sense; the text names field, value and limit.</summary>
    Invalid = 11,

    /// <summary>The store did not answer in time. The command may or may not have happened: repeat it with the same request id.</summary>
    Unavailable = 12,

    /// <summary>Too many commands wait for this sequence here.</summary>
    Busy = 13,
}

/// <summary>A pin and what was verified of it.</summary>
/// <param name="Number">
/// Grows with each pin that replaces another, from a random one in each life of the sequence's name; a confirmation names the one it is for. 0: it never had a pin.
/// </param>
/// <param name="Replicas">Copies that were asked for.</param>
/// <param name="Copies">Copies that were verified last.</param>
/// <param name="Blocks">It covers the blocks before this one; later ones need a new pin.</param>
/// <param name="Until">Unix milliseconds.</param>
public readonly record struct PinStatus(PinState State, uint Number, byte Replicas, byte Copies, long Blocks, long Until);

/// <summary>Where a fork left its origin.</summary>
/// <param name="Name">Sequence of the same tenant; empty: this is no fork.</param>
/// <param name="RowsId">Which rows, since a name may be used again.</param>
/// <param name="Segments">Rows that are shared; the last one may be shared in part.</param>
/// <param name="Blocks">Blocks that are shared.</param>
/// <param name="LastHash">Hash of the last shared block, which no row tells when it lies inside a run.</param>
/// <param name="Depth">How many origins lie behind this sequence.</param>
public readonly record struct SequenceOrigin(string Name, ulong RowsId, int Segments, long Blocks, BlockHash LastHash, int Depth)
{
    /// <summary>Of a sequence that is no fork.</summary>
    public static SequenceOrigin None => new("", 0, 0, 0, BlockHash.Root, 0);
}
