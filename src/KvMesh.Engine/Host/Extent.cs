using KvMesh.Protocol;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Engine.Host;

/// <summary>A piece of an arena and its descriptor. The default value is no extent.</summary>
/// <param name="Offset">From the start of the data area, in bytes; a multiple of the granule.</param>
/// <param name="Bytes">Length that was asked for; the allocator rounds it up to granules.</param>
internal readonly record struct Extent(long Offset, int Bytes, int Descriptor)
{
    public bool IsNone => Bytes == 0;

    /// <summary>Bytes it takes from the arena.</summary>
    public long AllocatedBytes => RoundUp(Bytes);

    /// <summary>Where the trailer of a payload begins.</summary>
    public static int TrailerOffset(int payloadBytes) => (payloadBytes + 7) & ~7;

    /// <summary>Length of an extent for a payload and the names in its trailer.</summary>
    public static int BytesFor(int payloadBytes, int nameBytes) =>
        TrailerOffset(payloadBytes) + (ChecksumTable.EntryCount(payloadBytes) * sizeof(uint)) + nameBytes;

    public static long RoundUp(long bytes) => (bytes + Limits.GranuleBytes - 1) / Limits.GranuleBytes * Limits.GranuleBytes;
}
