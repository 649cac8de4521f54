namespace KvMesh.Engine.Disk;

/// <summary>What becomes of a live record whose segment is about to go.</summary>
internal enum ReclaimVerdict
{
    /// <summary>It goes with its segment. The one who answers has forgotten its location already.</summary>
    Drop,

    /// <summary>It was used since it was written: copy it to another segment.</summary>
    Keep,
}

/// <summary>
/// Decides over the live records of a segment that is reclaimed. Called on the maintenance thread (or by whoever calls
/// <see cref="DiskTier.Maintain"/>), with no lock of the tier held, so it may call <see cref="DiskTier.Release"/> and
/// <see cref="DiskTier.TryRead"/>. Locations that are never asked about (their header and their checkpoint are both damaged) stop being
/// readable without a word: a read that returns false is the news.
/// </summary>
internal interface IDiskReclaimObserver
{
    /// <summary>
    /// Asked once per live record. When <paramref name="mayKeep"/> is false there is no room left to copy into, and the answer must be
    /// <see cref="ReclaimVerdict.Drop"/>; it is taken as such in any case.
    /// </summary>
    ReclaimVerdict Decide(in DiskRecord record, DiskLocation location, bool mayKeep);

    /// <summary>
    /// A kept record is now at <paramref name="to"/> as well: from here on read it there. False when the block was removed or
    /// replaced in the meantime; the copy is then released.
    /// </summary>
    bool Moved(in DiskRecord record, DiskLocation from, DiskLocation to);

    /// <summary>A kept record could not be copied: forget <paramref name="location"/>, which is about to go.</summary>
    void Lost(in DiskRecord record, DiskLocation location);
}

/// <summary>
/// Told of each live record at the start, one per key: of several the latest written. False: the record is of no use (expired,
/// purged, an unknown tenant, already in RAM in a newer version) and is released.
/// </summary>
internal delegate bool RecoveredRecordHandler(in DiskRecord record, DiskLocation location);
