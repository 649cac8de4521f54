using System.Runtime.InteropServices;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Disk;
using KvMesh.Engine.Host;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Engine.Coding;

/// <summary>Reads blocks that lie encoded on disk or in RAM. Any thread; the reader's own does the decoding.</summary>
/// <param name="disk">Where the first are; null: there is none.</param>
internal sealed class PayloadDecoder(IPayloadCoder coder, DiskTier? disk, CodingCounters counters, TimeProvider time) : IDisposable
{
    /// <summary>Blocks that are decoded at a time: each takes memory for its encoded bytes, and more than the processors are would only wait.</summary>
    private static readonly int MaxAtOnce = Math.Clamp(Environment.ProcessorCount, 2, 16);

    private readonly SemaphoreSlim _turns = new(MaxAtOnce);
    private readonly BufferPool _buffers = new(MaxAtOnce);

    /// <summary>
    /// Decodes the record of a block into an extent, and writes the table of what came out. True when every byte is as it was sealed: the stored
    /// bytes agree with their checksums, and what they decode to with the block's.
    /// </summary>
    public bool TryLoad(Block block, DiskLocation location, int storedBytes, HostTier host, in Extent extent)
    {
        _turns.Wait();
        AlignedBuffer? buffer = null;
        try
        {
            buffer = _buffers.Rent(storedBytes);
            return disk!.TryReadEncoded(location, block.Digest, buffer.Span, out var stored)
                && TryPayload(buffer.Span, stored, out var encoded)
                && stored.BlockBytes == block.PayloadBytes && stored.BlockTableChecksum == block.TableChecksum
                && TryDecode(block, encoded, host, extent);
        }
        finally
        {
            if (buffer is not null)
            {
                _buffers.Return(buffer);
            }

            _turns.Release();
        }
    }

    /// <summary>The same from a copy in RAM that the caller holds: its bytes agree with their checksums too, or nothing is given.</summary>
    public bool TryLoad(Block block, EncodedCopy copy, HostTier host, in Extent extent) =>
        copy.Index.BlockBytes == block.PayloadBytes && copy.Index.BlockTableChecksum == block.TableChecksum && copy.IsIntact
        && TryDecode(block, copy.Payload, host, extent);

    public void Dispose()
    {
        _buffers.Dispose();
        _turns.Dispose();
    }

    /// <summary>The encoded bytes of an extent that was read; false when it is not what was written.</summary>
    private static bool TryPayload(ReadOnlySpan<byte> extent, in StoredExtent stored, out ReadOnlySpan<byte> payload)
    {
        payload = default;
        var tableOffset = Extent.TrailerOffset(stored.PayloadBytes);
        var entries = ChecksumTable.EntryCount(stored.PayloadBytes);
        if (stored.ExtentBytes < tableOffset + (entries * sizeof(uint)) || stored.ExtentBytes > extent.Length)
        {
            return false;
        }

        var table = MemoryMarshal.Cast<byte, uint>(extent.Slice(tableOffset, entries * sizeof(uint)));
        payload = extent.Slice(Extent.PayloadOffset(stored.PayloadBytes), stored.PayloadBytes);
        return ChecksumTable.Seal(table) == stored.TableChecksum && ChecksumTable.FirstMismatch(payload, table) < 0;
    }

    private bool TryDecode(Block block, ReadOnlySpan<byte> encoded, HostTier host, in Extent extent)
    {
        var start = time.GetTimestamp();
        var payload = Trailer.Payload(host.Arena, extent, block.PayloadBytes);
        var table = Trailer.Table(host.Arena, extent, block.PayloadBytes);
        if (!coder.TryDecode(encoded, payload, out var codec))
        {
            counters.NoteUndecodable();
            return false;
        }

        ChecksumTable.Compute(payload, table);
        if (ChecksumTable.Seal(table) != block.TableChecksum)
        {
            counters.NoteUndecodable();
            return false;
        }

        counters.NoteDecoded(codec, block.PayloadBytes, time.GetElapsedTime(start));
        return true;
    }
}
