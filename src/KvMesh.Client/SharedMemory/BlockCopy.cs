using KvMesh.Protocol;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Client.SharedMemory;

/// <summary>Reads granted blocks and checks them against their stored checksums. The caller holds the arena.</summary>
internal static class BlockCopy
{
    /// <summary>Whether the bytes in the arena are those that were sealed.</summary>
    public static bool IsIntact(ArenaView arena, in LeaseGrant grant)
    {
        Span<uint> table = stackalloc uint[ChecksumTable.EntryCount(grant.PayloadBytes)];
        return arena.TryReadTable(grant, table) && ChecksumTable.FirstMismatch(arena.Payload(grant), table) < 0;
    }

    /// <summary>Copies a block and checks the copy in the same pass.</summary>
    public static bool TryCopy(ArenaView arena, in LeaseGrant grant, Span<byte> destination, bool verify)
    {
        var payload = arena.Payload(grant);
        if (!verify)
        {
            payload.CopyTo(destination);
            return true;
        }

        Span<uint> table = stackalloc uint[ChecksumTable.EntryCount(grant.PayloadBytes)];
        if (!arena.TryReadTable(grant, table))
        {
            return false;
        }

        for (var entry = 0; entry < table.Length; entry++)
        {
            var offset = entry * Limits.ChecksumChunkBytes;
            var chunk = payload.Slice(offset, Math.Min(Limits.ChecksumChunkBytes, payload.Length - offset));
            if (Crc32C.CopyAndAppend(0, chunk, destination[offset..]) != table[entry])
            {
                return false;
            }
        }

        return true;
    }
}
