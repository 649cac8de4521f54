using KvMesh.Protocol;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Engine.Host;

/// <summary>A piece of an arena and its descriptor. The default value is no extent.</summary>
/// <param name="Offset">From the start of the data area, in bytes; a multiple of the granule.</param>
/// <param name="Bytes">Length that was asked for; the allocator rounds it up to granules.</param>
internal readonly record struct Extent(long Offset, int Bytes, int Descriptor)
{
    /// <summary>Payloads below it begin at the start of their extent: copying them is not what they cost, and half a page would count.</summary>
    private const int MinShiftedBytes = 32 * 1024;

    public bool IsNone => Bytes == 0;

    /// <summary>Bytes it takes from the arena.</summary>
    public long AllocatedBytes => RoundUp(Bytes);

    /// <summary>
    /// Where a payload begins in its extent. A large one begins in the middle of a page: some processors copy three times slower to memory
    /// that is a few bytes further into its page than the source is into its own, and a reply's head puts a payload just there.
    /// </summary>
    public static int PayloadOffset(int payloadBytes) => payloadBytes >= MinShiftedBytes ? Limits.GranuleBytes / 2 : 0;

    /// <summary>Where the trailer of a payload begins.</summary>
    public static int TrailerOffset(int payloadBytes) => PayloadOffset(payloadBytes) + ((payloadBytes + 7) & ~7);

    /// <summary>Length of an extent for a payload and the names in its trailer.</summary>
    public static int BytesFor(int payloadBytes, int nameBytes) =>
        TrailerOffset(payloadBytes) + (ChecksumTable.EntryCount(payloadBytes) * sizeof(uint)) + nameBytes;

    public static long RoundUp(long bytes) => (bytes + Limits.GranuleBytes - 1) / Limits.GranuleBytes * Limits.GranuleBytes;
}
