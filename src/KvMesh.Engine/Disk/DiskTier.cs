using KvMesh.Protocol.Keys;
using Microsoft.Extensions.Logging;

namespace KvMesh.Engine.Disk;

/// <summary>
/// Blocks on disk: the door of this folder. It knows nothing of arena or index: it takes spans and gives locations. Every member may
/// be called from any thread and blocks for at most one I/O of its own. No member throws for what a disk may do: an error, a full or a
/// foreign file system is a smaller cache and a counter.
/// </summary>
internal sealed class DiskTier : IDisposable
{
    /// <summary>
    /// Opens the folder: tells <paramref name="onRecovered"/> of each live record before it returns, and starts the maintenance thread.
    /// </summary>
    /// <param name="options">Options that <see cref="DiskOptions.Validate"/> has nothing against.</param>
    /// <param name="store">Names the data directory whose secret made the digests; files of another one are set aside.</param>
    /// <param name="files">The folder.</param>
    /// <param name="observer">Decides over records whose segment is reclaimed; not called before Open returns.</param>
    /// <param name="onRecovered">Told of each live record, one per key.</param>
    public static DiskTier Open(
        DiskOptions options, Guid store, IBlockFileSystem files, IDiskReclaimObserver observer, RecoveredRecordHandler onRecovered,
        TimeProvider time, ILogger logger) => throw new NotImplementedException();

    /// <summary>
    /// Writes a record. <paramref name="extent"/> begins on a multiple of 4,096 in memory, is at least
    /// <see cref="DiskRecord.ExtentBytes"/> rounded up to 4,096 long, and does not change during the call; it is written from where it is.
    /// False: no room, too large, or an error; nothing was kept.
    /// </summary>
    public bool TryAppend(in DiskRecord record, ReadOnlySpan<byte> extent, out DiskLocation location) => throw new NotImplementedException();

    /// <summary>Makes a batch for one thread. Dispose it before the tier.</summary>
    public DiskBatch CreateBatch() => throw new NotImplementedException();

    /// <summary>
    /// Writes all records of a batch with one I/O and empties it. <paramref name="locations"/> has room for its count and gets them in
    /// the order of adding. False: none was kept.
    /// </summary>
    public bool TryAppend(DiskBatch batch, Span<DiskLocation> locations) => throw new NotImplementedException();

    /// <summary>
    /// Reads a whole extent into <paramref name="extent"/>, which begins on a multiple of 4,096 and has room for
    /// <see cref="DiskRecord.ExtentBytes"/> rounded up to 4,096. The header is checked against <paramref name="expected"/>; the caller
    /// verifies table and payload. False: the record is gone, damaged or unreadable.
    /// </summary>
    public bool TryRead(DiskLocation location, KeyDigest expected, Span<byte> extent) => throw new NotImplementedException();

    /// <summary>
    /// Reads part of an extent. Offset and length are multiples of 4,096, as is the address of <paramref name="destination"/>. Only the
    /// table proves these bytes: the header is not read again.
    /// </summary>
    public bool TryReadRange(DiskLocation location, long extentOffset, Span<byte> destination) => throw new NotImplementedException();

    /// <summary>
    /// The record is dead: removed, replaced or expired. A <paramref name="durable"/> release is on record before the call returns, so
    /// that the end of the process cannot bring the record back, and power loss cannot after the next sync; use it whenever an old
    /// value would be a wrong answer. Without it the record may come back after a crash. A location that is gone already is ignored.
    /// </summary>
    public void Release(DiskLocation location, bool durable) => throw new NotImplementedException();

    /// <summary>Says whether RAM holds a copy too: segments full of redundant records are reclaimed first.</summary>
    public void MarkRedundant(DiskLocation location, bool redundant) => throw new NotImplementedException();

    /// <summary>
    /// Forces to the device whatever was written or released before the call. False: an error; the bytes may not survive power loss.
    /// </summary>
    public bool Sync() => throw new NotImplementedException();

    /// <summary>Syncs, and writes down what every segment holds so that the next start reads lists instead of headers.</summary>
    public bool Checkpoint() => throw new NotImplementedException();

    /// <summary>
    /// Does one bounded step of what is due: sync, lists of full segments, a spare segment, reclamation. True when more is due at once.
    /// The tier's own thread calls it; a simulation may instead.
    /// </summary>
    public bool Maintain() => throw new NotImplementedException();

    public DiskSnapshot Snapshot() => throw new NotImplementedException();

    /// <summary>Ends the maintenance thread, writes a checkpoint and closes all files. No other call may be in progress.</summary>
    public void Dispose() => throw new NotImplementedException();
}
