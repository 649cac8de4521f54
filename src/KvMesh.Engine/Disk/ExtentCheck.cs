using System.Runtime.InteropServices;
using KvMesh.Engine.Host;
using KvMesh.Protocol;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Engine.Disk;

/// <summary>
/// Verifies an extent on disk, space before a large payload ‖ payload ‖ padding to 8 ‖ checksum table ‖ names, against the checksums of its header. For records
/// found after the last checkpoint: their header may have reached the device and their extent not. One thread at a time.
/// </summary>
internal sealed class ExtentCheck : IDisposable
{
    private const int PieceBytes = 1024 * 1024;
    private readonly AlignedBuffer _trailer = new(Limits.MaxChecksumEntries * sizeof(uint) + 4 * Limits.GranuleBytes);
    private readonly AlignedBuffer _piece = new(PieceBytes + Limits.GranuleBytes);

    /// <summary>Whether every byte is as it was sealed. The record is outside its header's granule.</summary>
    public bool IsWhole(IBlockFile file, long extentOffset, in DiskRecord record)
    {
        var entries = ChecksumTable.EntryCount(record.PayloadBytes);
        var tableOffset = (long)Extent.TrailerOffset((int)record.PayloadBytes);
        var tableBytes = entries * sizeof(uint);
        if (record.ExtentBytes < tableOffset + tableBytes)
        {
            return false;
        }

        var from = tableOffset / Limits.GranuleBytes * Limits.GranuleBytes;
        var readBytes = Granules.RoundUp(record.ExtentBytes) - from;
        if (readBytes > _trailer.Length || file.Read(extentOffset + from, _trailer.Span[..(int)readBytes], default) != FileStatus.Ok)
        {
            return false;
        }

        var trailer = _trailer.Span[(int)(tableOffset - from)..(int)(record.ExtentBytes - from)];
        var table = MemoryMarshal.Cast<byte, uint>(trailer[..tableBytes]);
        return ChecksumTable.Seal(table) == record.TableChecksum
            && Crc32C.Compute(trailer) == record.TrailerChecksum
            && IsPayloadWhole(file, extentOffset, record.PayloadBytes, table);
    }

    public void Dispose()
    {
        _trailer.Dispose();
        _piece.Dispose();
    }

    private bool IsPayloadWhole(IBlockFile file, long extentOffset, long payloadBytes, ReadOnlySpan<uint> table)
    {
        // Pieces are granules of the file; the payload may begin inside one.
        var start = Extent.PayloadOffset((int)payloadBytes);
        for (long done = 0; done < payloadBytes; done += PieceBytes)
        {
            var bytes = (int)Math.Min(PieceBytes, payloadBytes - done);
            if (file.Read(extentOffset + done, _piece.Span[..(int)Granules.RoundUp(start + bytes)], default) != FileStatus.Ok)
            {
                return false;
            }

            var first = (int)(done / Limits.ChecksumChunkBytes);
            if (ChecksumTable.FirstMismatch(_piece.Span.Slice(start, bytes), table.Slice(first, ChecksumTable.EntryCount(bytes))) >= 0)
            {
                return false;
            }
        }

        return true;
    }
}
