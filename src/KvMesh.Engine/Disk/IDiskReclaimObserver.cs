namespace KvMesh.Engine.Disk;

/// <summary>What becomes of a live record whose segment is about to go.</summary>
internal enum ReclaimVerdict
{
    /// <summary>It goes with its segment.</summary>
    Drop,

    /// <summary>It was used since it was written, or is likely to be: copy it to another segment.</summary>
    Keep,

    /// <summary>It was promised to stay, and this is its only copy: copy it to another segment, whatever was used.</summary>
    Promised,
}

/// <summary>
/// Decides over the live records of a segment that is reclaimed. For each it hears <see cref="Decide"/> and then either
/// <see cref="Moved"/> or <see cref="Forget"/>. Called on the maintenance thread (or by whoever calls <see cref="DiskTier.Maintain"/>), with no
/// lock held that <see cref="DiskTier.Release"/>, <see cref="DiskTier.TryRead"/>, an append or a sync needs. A record whose header and
/// checkpoint are both damaged is not asked about: that a read returns false is the only news of it.
/// </summary>
internal interface IDiskReclaimObserver
{
    /// <summary>
    /// Whether the record was promised to stay and is the only copy of its block. Asked of all records of a segment before one is chosen: one
    /// from which too much would have to be copied is left alone for a while. Nothing is decided yet.
    /// </summary>
    bool IsPromised(in DiskRecord record, DiskLocation location);

    /// <summary>
    /// Asked once per live record; nothing has changed yet. When <paramref name="mayKeep"/> is false there is no room left to copy what was
    /// merely used, and <see cref="ReclaimVerdict.Keep"/> is taken as <see cref="ReclaimVerdict.Drop"/>.
    /// </summary>
    /// <param name="hits">Uses of the block so far, which the copy says from then on.</param>
    ReclaimVerdict Decide(in DiskRecord record, DiskLocation location, bool mayKeep, out uint hits);

    /// <summary>
    /// A kept record is now at <paramref name="to"/> as well: from here on read it there. False when the block no longer is at
    /// <paramref name="from"/>, since it was removed or replaced in the meantime; the copy is then released.
    /// </summary>
    bool Moved(in DiskRecord record, DiskLocation from, DiskLocation to);

    /// <summary>The record is dropped, could not be copied, or died meanwhile: forget <paramref name="location"/>, which is not readable any more.</summary>
    void Forget(in DiskRecord record, DiskLocation location);
}

/// <summary>
/// Told of each live record at the start, one per key: of several the latest written. False: the record is of no use (expired,
/// purged, an unknown tenant, already in RAM in a newer version) and is released.
/// </summary>
internal delegate bool RecoveredRecordHandler(in DiskRecord record, DiskLocation location);
