namespace KvMesh.Protocol.Sequences;

/// <summary>What one may ask of a sequence. Commands are values: the same on every door, in every host and in tests.</summary>
public abstract record SequenceCommand
{
    /// <summary>A number that the caller draws at random. The same number again means the same command again. 0: not repeatable.</summary>
    public ulong RequestId { get; init; }

    /// <summary>Epoch of the owner. 0 where a command needs none: the caller is no owner.</summary>
    public long Epoch { get; init; }
}

/// <summary>Creates a sequence, or takes the one that exists with the same parameters.</summary>
public sealed record OpenSequence : SequenceCommand
{
    /// <summary>Scope of its blocks, part 0.</summary>
    public required ReadOnlyMemory<byte> Scope { get; init; }

    public int Parts { get; init; } = 1;

    /// <summary>Who takes it: a node or worker, up to 64 bytes.</summary>
    public string Holder { get; init; } = "";

    /// <summary>It ends after this long without a command. Zero: the node's default.</summary>
    public TimeSpan IdleLimit { get; init; }

    /// <summary>It ends after this long, whatever happens. Zero: the node's default.</summary>
    public TimeSpan Lifetime { get; init; }

    /// <summary>
    /// Whether no copy of its blocks may lose anything. Of a sequence that exists: it becomes so when this says so, and stays so when it does not. A node from
    /// before this opens it without; the answer tells (<see cref="SequenceInfo.LosslessOnly"/>).
    /// </summary>
    public bool LosslessOnly { get; init; }
}

/// <summary>Adds a run of consecutive blocks behind the last one. Needs the owner's epoch.</summary>
public sealed record AppendSegment : SequenceCommand
{
    /// <summary>Hash of the block before; the root for the first.</summary>
    public BlockHash ParentHash { get; init; }

    public uint Blocks { get; init; }

    public uint Tokens { get; init; }

    /// <summary>Payload bytes of these blocks, all parts together, one copy.</summary>
    public ulong Bytes { get; init; }

    public BlockHash FirstHash { get; init; }

    public BlockHash LastHash { get; init; }
}

/// <summary>Opens another sequence that begins with this one's first blocks, without copying a row. It ends no later than this one would.</summary>
public sealed record ForkSequence : SequenceCommand
{
    /// <summary>Name of the fork, of the same tenant.</summary>
    public required string Target { get; init; }

    /// <summary>How many blocks the fork begins with.</summary>
    public long Blocks { get; init; }

    /// <summary>Hash of the last of them. Compared where a run ends there; inside a run it is the caller's word.</summary>
    public BlockHash LastHash { get; init; }

    public string Holder { get; init; } = "";

    /// <summary>Whether no copy of its blocks may lose anything. A fork of a sequence that is so is so, whatever this says.</summary>
    public bool LosslessOnly { get; init; }
}

/// <summary>Asks for copies of all blocks that the sequence has now. It is <see cref="PinState.Pending"/> until they are verified.</summary>
public sealed record PinSequence : SequenceCommand
{
    /// <summary>Copies on different nodes, 1 to 16; 0 lifts the pin.</summary>
    public int Replicas { get; init; }

    /// <summary>Unix milliseconds; cut to the end of the sequence.</summary>
    public long Until { get; init; }
}

/// <summary>Says how many copies of a pin's blocks were read back and verified: by whoever does the copying, never by a client.</summary>
public sealed record ConfirmPin : SequenceCommand
{
    /// <summary>Which pin, of those that replaced each other.</summary>
    public uint Number { get; init; }

    /// <summary>Fewer than asked make a held pin pending again.</summary>
    public int Copies { get; init; }
}

/// <summary>Rests a sequence between turns.</summary>
public sealed record ParkSequence : SequenceCommand
{
    /// <summary>Who will probably resume it; empty: unknown.</summary>
    public string NextHolder { get; init; } = "";

    /// <summary>When, in Unix milliseconds; 0: unknown.</summary>
    public long ReturnAt { get; init; }
}

/// <summary>Takes a sequence, parked or not: from now on only the epoch in the answer counts.</summary>
public sealed record ResumeSequence : SequenceCommand
{
    public string Holder { get; init; } = "";
}

/// <summary>Ends a sequence. Its blocks live on; where it ends, those of no other chain are the first to leave RAM.</summary>
public sealed record CloseSequence : SequenceCommand;
