namespace KvMesh.Engine.Disk;

/// <summary>What the disk tier counts. Fields are added to with <see cref="Interlocked"/> only.</summary>
internal sealed class DiskCounters
{
    public long AppendedRecords;
    public long AppendedBytes;
    public long ReadRecords;
    public long ReadBytes;
    public long RefusedAppends;
    public long OversizedAppends;
    public long WriteErrors;
    public long ReadErrors;
    public long SyncErrors;
    public long CorruptRecords;
    public long Syncs;
    public long ReclaimedSegments;
    public long ReclaimedBytes;
    public long ReadmittedRecords;
    public long ReadmittedBytes;
    public long DroppedRecords;
    public long DroppedBytes;
    public long BrokenPromises;
    public long RecoveredRecords;
    public long TornTails;
    public long ForeignFiles;

    public DiskSnapshot ToSnapshot() => new()
    {
        AppendedRecords = Interlocked.Read(ref AppendedRecords),
        AppendedBytes = Interlocked.Read(ref AppendedBytes),
        ReadRecords = Interlocked.Read(ref ReadRecords),
        ReadBytes = Interlocked.Read(ref ReadBytes),
        RefusedAppends = Interlocked.Read(ref RefusedAppends),
        OversizedAppends = Interlocked.Read(ref OversizedAppends),
        WriteErrors = Interlocked.Read(ref WriteErrors),
        ReadErrors = Interlocked.Read(ref ReadErrors),
        SyncErrors = Interlocked.Read(ref SyncErrors),
        CorruptRecords = Interlocked.Read(ref CorruptRecords),
        Syncs = Interlocked.Read(ref Syncs),
        ReclaimedSegments = Interlocked.Read(ref ReclaimedSegments),
        ReclaimedBytes = Interlocked.Read(ref ReclaimedBytes),
        ReadmittedRecords = Interlocked.Read(ref ReadmittedRecords),
        ReadmittedBytes = Interlocked.Read(ref ReadmittedBytes),
        DroppedRecords = Interlocked.Read(ref DroppedRecords),
        DroppedBytes = Interlocked.Read(ref DroppedBytes),
        BrokenPromises = Interlocked.Read(ref BrokenPromises),
        RecoveredRecords = Interlocked.Read(ref RecoveredRecords),
        TornTails = Interlocked.Read(ref TornTails),
        ForeignFiles = Interlocked.Read(ref ForeignFiles),
    };

    public static void Add(ref long counter, long amount) => Interlocked.Add(ref counter, amount);

    public static void Increment(ref long counter) => Interlocked.Increment(ref counter);
}
