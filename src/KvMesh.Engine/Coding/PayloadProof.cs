using KvMesh.Protocol.Integrity;

namespace KvMesh.Engine.Coding;

/// <summary>Whether an encoding is one of a block. Every tier asks before it keeps what a coder wrote.</summary>
public static class PayloadProof
{
    /// <summary>
    /// Whether what was encoded decodes to the bytes that were sealed, not only to those that lie in memory now.
    /// </summary>
    /// <param name="coder">Who wrote it.</param>
    /// <param name="encoded">What it wrote.</param>
    /// <param name="decoded">Exactly the bytes of the block; holds anything afterwards.</param>
    /// <param name="table">The block's checksum table.</param>
    /// <param name="tableChecksum">CRC-32C over that table, as it was sealed.</param>
    public static bool ComesBack(
        IPayloadCoder coder, ReadOnlySpan<byte> encoded, Span<byte> decoded, ReadOnlySpan<uint> table, uint tableChecksum) =>
        coder.TryReadBack(encoded, decoded) && ChecksumTable.Seal(table) == tableChecksum && ChecksumTable.FirstMismatch(decoded, table) < 0;

    /// <summary>
    /// Whether an encoding that may lose something was made of the bytes that were sealed, and decodes. What it decodes to, now and ever after, is
    /// then known by its own checksums.
    /// </summary>
    /// <param name="coder">Who wrote it.</param>
    /// <param name="encoded">What it wrote.</param>
    /// <param name="decoded">Exactly the bytes of the block; holds what readers will get afterwards.</param>
    /// <param name="payload">The block.</param>
    /// <param name="table">The block's checksum table.</param>
    /// <param name="tableChecksum">CRC-32C over that table, as it was sealed.</param>
    /// <param name="decodedTable">Grows to hold the table of what it decodes to.</param>
    /// <param name="decodedChecksum">CRC-32C over the table of what it decodes to.</param>
    public static bool TryProveLossy(
        IPayloadCoder coder, ReadOnlySpan<byte> encoded, Span<byte> decoded, ReadOnlySpan<byte> payload, ReadOnlySpan<uint> table, uint tableChecksum,
        ref uint[] decodedTable, out uint decodedChecksum)
    {
        decodedChecksum = 0;
        if (ChecksumTable.Seal(table) != tableChecksum || ChecksumTable.FirstMismatch(payload, table) >= 0 || !coder.TryReadBack(encoded, decoded))
        {
            return false;
        }

        if (decodedTable.Length < table.Length)
        {
            decodedTable = new uint[table.Length];
        }

        var ofDecoded = decodedTable.AsSpan(0, table.Length);
        ChecksumTable.Compute(decoded, ofDecoded);
        decodedChecksum = ChecksumTable.Seal(ofDecoded);
        return true;
    }
}
