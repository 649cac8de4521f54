using System.Runtime.InteropServices;

namespace KvMesh.Protocol.Integrity;

/// <summary>
/// The checksums of one payload: one CRC-32C per <see cref="Limits.ChecksumChunkBytes"/>, and one over the table itself.
/// A reader of a range verifies only the chunks that it touches.
/// </summary>
public static class ChecksumTable
{
    /// <summary>Entries in the table of a payload of <paramref name="payloadBytes"/>; an empty payload has none.</summary>
    public static int EntryCount(long payloadBytes) =>
        (int)((payloadBytes + Limits.ChecksumChunkBytes - 1) / Limits.ChecksumChunkBytes);

    /// <summary>Fills <paramref name="table"/> from the whole payload.</summary>
    public static void Compute(ReadOnlySpan<byte> payload, Span<uint> table)
    {
        for (var entry = 0; entry < table.Length; entry++)
        {
            table[entry] = Crc32C.Compute(Chunk(payload, entry));
        }
    }

    /// <summary>
    /// Copies the payload to the start of <paramref name="destination"/> and fills <paramref name="table"/> in the same pass: the
    /// table is of the bytes that were stored, even while somebody still writes to <paramref name="payload"/>.
    /// </summary>
    /// <param name="streams">Whether to store past the cache: for payloads of a MiB and more that are not read again at once.</param>
    public static void CopyAndCompute(ReadOnlySpan<byte> payload, Span<byte> destination, Span<uint> table, bool streams)
    {
        for (var entry = 0; entry < table.Length; entry++)
        {
            table[entry] = Crc32C.CopyAndAppend(0, Chunk(payload, entry), destination[(entry * Limits.ChecksumChunkBytes)..], streams);
        }
    }

    /// <summary>The checksum over the table, which stands for the whole payload.</summary>
    public static uint Seal(ReadOnlySpan<uint> table) => Crc32C.Compute(MemoryMarshal.AsBytes(table));

    /// <summary>Index of the first chunk that differs from the table, or -1 when every byte is as it was sealed.</summary>
    public static int FirstMismatch(ReadOnlySpan<byte> payload, ReadOnlySpan<uint> table)
    {
        for (var entry = 0; entry < table.Length; entry++)
        {
            if (Crc32C.Compute(Chunk(payload, entry)) != table[entry])
            {
                return entry;
            }
        }

        return -1;
    }

    private static ReadOnlySpan<byte> Chunk(ReadOnlySpan<byte> payload, int entry)
    {
        var offset = entry * Limits.ChecksumChunkBytes;
        return payload.Slice(offset, Math.Min(Limits.ChecksumChunkBytes, payload.Length - offset));
    }
}
