namespace KvMesh.Engine.Disk;

/// <summary>The disk tier's figures at one moment. Counters grow from the start of the process.</summary>
internal sealed record DiskSnapshot
{
    /// <summary>Bytes that segment files may take now: the configured capacity, or less after the file system was found full.</summary>
    public long CapacityBytes { get; init; }

    /// <summary>Bytes of all segment files.</summary>
    public long FileBytes { get; init; }

    /// <summary>Bytes of records, headers included: live and dead.</summary>
    public long UsedBytes { get; init; }

    /// <summary>Bytes of records that can be read.</summary>
    public long LiveBytes { get; init; }

    /// <summary>Bytes of records that were released and wait for their segment to go.</summary>
    public long DeadBytes { get; init; }

    /// <summary>The part of <see cref="LiveBytes"/> whose blocks are also in RAM.</summary>
    public long RedundantBytes { get; init; }

    public long LiveRecords { get; init; }

    public int Segments { get; init; }

    /// <summary>Bytes written and not yet forced to the device.</summary>
    public long UnsyncedBytes { get; init; }

    public bool UsesDirectIo { get; init; }

    public long AppendedRecords { get; init; }

    public long AppendedBytes { get; init; }

    public long ReadRecords { get; init; }

    public long ReadBytes { get; init; }

    /// <summary>Appends refused because no segment was free, or because writing is paused after an error.</summary>
    public long RefusedAppends { get; init; }

    /// <summary>Appends refused because the record is larger than a segment.</summary>
    public long OversizedAppends { get; init; }

    public long WriteErrors { get; init; }

    public long ReadErrors { get; init; }

    public long SyncErrors { get; init; }

    /// <summary>Records whose header was not what was written there.</summary>
    public long CorruptRecords { get; init; }

    public long Syncs { get; init; }

    public long ReclaimedSegments { get; init; }

    public long ReclaimedBytes { get; init; }

    /// <summary>Records copied out of a segment before it went, because they had been used.</summary>
    public long ReadmittedRecords { get; init; }

    public long ReadmittedBytes { get; init; }

    /// <summary>Live records that went with their segment.</summary>
    public long DroppedRecords { get; init; }

    public long DroppedBytes { get; init; }

    /// <summary>The part of <see cref="DroppedRecords"/> that leases or pins had promised to stay: there was no room to keep all of these.</summary>
    public long BrokenPromises { get; init; }

    /// <summary>Records found at the start and accepted by the engine.</summary>
    public long RecoveredRecords { get; init; }

    /// <summary>Segments whose last records were cut at the start because they were not complete.</summary>
    public long TornTails { get; init; }

    /// <summary>Files set aside at the start: of another node, another version, or damaged.</summary>
    public long ForeignFiles { get; init; }
}
