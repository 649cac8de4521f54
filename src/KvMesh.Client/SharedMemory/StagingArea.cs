using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.SharedMemory;
using Microsoft.Win32.SafeHandles;

namespace KvMesh.Client.SharedMemory;

/// <summary>
/// The file through which one connection writes, mapped read-write, and which parts of it are in use. Parts are given lowest first, so
/// that the same warm pages are used again. Any thread.
/// </summary>
internal sealed class StagingArea : IDisposable
{
    private const int Alignment = 4096;

    private readonly Lock _lock = new();
    private readonly SharedMapping _mapping;
    private readonly SortedList<long, long> _used = [];

    private StagingArea(SharedMapping mapping) => _mapping = mapping;

    /// <exception cref="IOException">It cannot be mapped.</exception>
    public static StagingArea Map(SafeFileHandle file, long bytes) => new(SharedMapping.Map(file, bytes, writable: true));

    /// <summary>Takes a part of the file. False when none is large enough now, or the connection is gone.</summary>
    public bool TryRent(int bytes, out long offset)
    {
        var wanted = ((long)bytes + Alignment - 1) / Alignment * Alignment;
        lock (_lock)
        {
            offset = 0;
            foreach (var (start, length) in _used)
            {
                if (start - offset >= wanted)
                {
                    break;
                }

                offset = start + length;
            }

            if (_mapping.Bytes - offset < wanted || !TryHold())
            {
                return false;
            }

            _used.Add(offset, Math.Max(wanted, Alignment));
            return true;
        }
    }

    /// <summary>A rented part.</summary>
    public Span<byte> Slice(long offset, int bytes) => _mapping.Slice(offset, bytes);

    /// <summary>Gives a part back, once the node has answered or the connection is lost.</summary>
    public void Return(long offset)
    {
        lock (_lock)
        {
            _used.Remove(offset);
        }

        _mapping.DangerousRelease();
    }

    /// <summary>Copies a payload to a rented part and returns the checksum of its table.</summary>
    public uint Fill(long offset, ReadOnlySpan<byte> payload)
    {
        var table = new uint[ChecksumTable.EntryCount(payload.Length)];
        ChecksumTable.CopyAndCompute(payload, _mapping.Slice(offset, payload.Length), table, streams: false);
        return ChecksumTable.Seal(table);
    }

    public void Dispose() => _mapping.Dispose();

    private bool TryHold()
    {
        try
        {
            var isHeld = false;
            _mapping.DangerousAddRef(ref isHeld);
            return isHeld;
        }
        catch (ObjectDisposedException)
        {
            return false;
        }
    }
}
