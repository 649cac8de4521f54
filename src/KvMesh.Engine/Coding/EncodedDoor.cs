using KvMesh.Engine.Blocks;
using KvMesh.Engine.Disk;
using KvMesh.Engine.Host;
using KvMesh.Protocol.Coding;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Engine.Coding;

/// <summary>Gives out blocks as they lie encoded on disk, beside the arena. Any thread.</summary>
internal sealed class EncodedDoor(DiskTier disk) : IDisposable
{
    /// <summary>Blocks that are out at a time: each holds memory until a client has taken it. Who comes then gets the block decoded.</summary>
    private const int MaxAtOnce = 16;

    private readonly SemaphoreSlim _turns = new(MaxAtOnce);
    private readonly BufferPool _buffers = new(MaxAtOnce);

    /// <summary>
    /// Reads the copy on disk. False: it is not encoded, in no codec that is wanted, not whole, not of this content, or there is no turn; nobody waits.
    /// </summary>
    public bool TryRead(Block block, CodecKinds kinds, out EncodedRead read)
    {
        read = default;
        var location = block.Disk;
        if (location.IsNone || !disk.IsEncoded(location, out var extentBytes) || !_turns.Wait(TimeSpan.Zero))
        {
            return false;
        }

        AlignedBuffer? buffer = null;
        var isGiven = false;
        try
        {
            buffer = _buffers.Rent(extentBytes);
            isGiven = TryRead(block, location, kinds, buffer, out read);
            return isGiven;
        }
        finally
        {
            if (!isGiven)
            {
                Return(buffer);
            }
        }
    }

    /// <summary>Ends a turn. The buffer is missing where no memory could be had for one.</summary>
    public void Return(AlignedBuffer? buffer)
    {
        if (buffer is not null)
        {
            _buffers.Return(buffer);
        }

        _turns.Release();
    }

    public void Dispose()
    {
        _buffers.Dispose();
        _turns.Dispose();
    }

    private bool TryRead(Block block, DiskLocation location, CodecKinds kinds, AlignedBuffer buffer, out EncodedRead read)
    {
        read = default;
        if (!disk.TryReadEncoded(location, block.Digest, buffer.Span, out var stored)
            || !kinds.Contains(stored.Codec) || stored.BlockBytes != block.PayloadBytes || stored.BlockTableChecksum != Volatile.Read(ref block.TableChecksum)
            || !IsInside(stored, buffer))
        {
            return false;
        }

        var whole = new EncodedRead(this, buffer, stored) { Loss = block.Loss };
        if (!IsIntact(whole))
        {
            return false;
        }

        read = whole;
        return true;
    }

    private static bool IsInside(in StoredExtent stored, AlignedBuffer buffer) =>
        stored.ExtentBytes <= buffer.Length
        && stored.ExtentBytes >= Extent.TrailerOffset(stored.PayloadBytes) + (ChecksumTable.EntryCount(stored.PayloadBytes) * sizeof(uint));

    private static bool IsIntact(in EncodedRead read) =>
        ChecksumTable.Seal(read.Checksums) == read.TableChecksum && ChecksumTable.FirstMismatch(read.Payload, read.Checksums) < 0;
}
