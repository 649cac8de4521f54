namespace KvMesh.Protocol.Sequences;

/// <summary>A sequence at one moment, as every door shows it.</summary>
public sealed record SequenceInfo
{
    public required string Name { get; init; }

    public SequenceState State { get; init; }

    /// <summary>What its owner names in every command; taking the sequence gives a new one.</summary>
    public long Epoch { get; init; }

    /// <summary>Grows by one with every step.</summary>
    public long Version { get; init; }

    public long Blocks { get; init; }

    public long Tokens { get; init; }

    /// <summary>Payload bytes of its blocks, one copy.</summary>
    public long Bytes { get; init; }

    /// <summary>Rows, those of its origin included.</summary>
    public int Segments { get; init; }

    /// <summary>Chain hash of the last block; the root while there is none.</summary>
    public BlockHash LastHash { get; init; }

    /// <summary>What its blocks have in common.</summary>
    public ReadOnlyMemory<byte> Scope { get; init; }

    /// <summary>Canonical parts of each block; part i has the scope with part number i.</summary>
    public int Parts { get; init; } = 1;

    /// <summary>Who has it; while it is parked, who is expected to resume it.</summary>
    public string Holder { get; init; } = "";

    public PinStatus Pin { get; init; }

    public SequenceOrigin Origin { get; init; } = SequenceOrigin.None;

    /// <summary>Whether no copy of its blocks may lose anything, and whoever reads them for it wants every bit.</summary>
    public bool LosslessOnly { get; init; }

    /// <summary>Forks of it that live.</summary>
    public int Forks { get; init; }

    /// <summary>Unix milliseconds, as all times here.</summary>
    public long CreatedAt { get; init; }

    public long TouchedAt { get; init; }

    /// <summary>It ends then, whatever happens.</summary>
    public long ExpiresAt { get; init; }

    /// <summary>It ends after this many milliseconds without a command.</summary>
    public long IdleMilliseconds { get; init; }

    /// <summary>When it is expected to be resumed; 0: unknown.</summary>
    public long ReturnAt { get; init; }

    /// <summary>Since when it is parked; 0: it is not, or that is not known. Within a node only: no door shows it.</summary>
    public long ParkedAt { get; init; }

    /// <summary>Times that it was resumed after a rest, as far as they are remembered. Within a node only.</summary>
    public int Rests { get; init; }

    /// <summary>How long it usually rested then. Within a node only.</summary>
    public uint UsualRestMilliseconds { get; init; }
}
