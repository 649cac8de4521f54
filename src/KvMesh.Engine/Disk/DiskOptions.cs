using KvMesh.Protocol;

namespace KvMesh.Engine.Disk;

/// <summary>What the disk tier may use. Bound from the section <c>Engine:Disk</c>.</summary>
public sealed class DiskOptions
{
    /// <summary>Largest segment, and the default one when the capacity allows it.</summary>
    public const long MaxSegmentBytes = 256L * 1024 * 1024;

    /// <summary>Smallest segment: below it the file headers and the tails that stay empty weigh too much.</summary>
    public const long MinSegmentBytes = 64 * 1024;

    /// <summary>Fewest segments that a capacity must hold: one being filled, one spare, one to copy into, and one that serves.</summary>
    public const int MinSegments = 4;

    /// <summary>Folder of the segments; created when it is missing. It must belong to one node alone.</summary>
    public string Directory { get; set; } = "";

    /// <summary>Bytes that all segment files together may take. One segment of it is kept free to copy into.</summary>
    public long CapacityBytes { get; set; }

    /// <summary>
    /// Bytes of one segment file, a multiple of 4,096. 0: an eighth of the capacity, between 64 KiB and 256 MiB. A record larger
    /// than a segment is not kept on disk.
    /// </summary>
    public long SegmentBytes { get; set; }

    /// <summary>
    /// Longest time after which written bytes are forced to the device. Power loss loses at most what was written since; the end of
    /// the process alone loses nothing. 0: only on demand, at a checkpoint and at the end.
    /// </summary>
    public TimeSpan SyncInterval { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>Bytes written since the last sync that start the next one early; 0: only the interval counts.</summary>
    public long SyncBytes { get; set; } = 256L * 1024 * 1024;

    /// <summary>Whether to pass by the page cache (O_DIRECT). A file system that has no such thing is used through the page cache.</summary>
    public bool UseDirectIo { get; set; } = true;

    /// <summary>
    /// Largest part of one processor that encoding blocks for the disk may take, 0 to 1, where a policy wants them encoded; what is beyond it is
    /// written as it is. 0: nothing is encoded any more, and what was is still read.
    /// </summary>
    public double EncodeShare { get; set; } = 0.5;

    /// <summary>Whether the tier runs its own maintenance thread. Simulations call <see cref="DiskTier.Maintain"/> themselves.</summary>
    internal bool RunsMaintenance { get; set; } = true;

    /// <summary>The size of new segments, with 0 resolved.</summary>
    internal long EffectiveSegmentBytes =>
        SegmentBytes != 0
            ? SegmentBytes
            : Math.Clamp(CapacityBytes / 8 / Limits.GranuleBytes * Limits.GranuleBytes, MinSegmentBytes, MaxSegmentBytes);

    /// <summary>Everything that is wrong with these options, each with its name, value and limit; empty when they can be used.</summary>
    public IEnumerable<string> Validate()
    {
        if (string.IsNullOrWhiteSpace(Directory))
        {
            yield return "Engine:Disk:Directory is empty; it must name a folder.";
        }

        if (SegmentBytes != 0 && (SegmentBytes is < MinSegmentBytes or > MaxSegmentBytes || SegmentBytes % Limits.GranuleBytes != 0))
        {
            yield return $"Engine:Disk:SegmentBytes is {SegmentBytes}; it must be 0 or a multiple of {Limits.GranuleBytes} between {MinSegmentBytes} and {MaxSegmentBytes}.";
        }
        else if (CapacityBytes < MinSegments * EffectiveSegmentBytes)
        {
            yield return $"Engine:Disk:CapacityBytes is {CapacityBytes}; it must hold at least {MinSegments} segments (one that is filled, one spare, one to copy into, one that serves) of {EffectiveSegmentBytes} bytes, {MinSegments * EffectiveSegmentBytes} in all.";
        }

        if (SyncInterval < TimeSpan.Zero)
        {
            yield return $"Engine:Disk:SyncInterval is {SyncInterval}; it must not be negative.";
        }

        if (!(EncodeShare is >= 0 and <= 1))
        {
            yield return $"Engine:Disk:EncodeShare is {EncodeShare}; it must be between 0 and 1.";
        }

        if (SyncBytes < 0)
        {
            yield return $"Engine:Disk:SyncBytes is {SyncBytes}; it must not be negative.";
        }
    }
}
