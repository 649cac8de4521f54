using KvMesh.Protocol;

namespace KvMesh.Engine.Disk;

/// <summary>
/// Reads granules of a file in rising order: one at a time while they are far apart, in ever larger pieces while they are neighbours, so
/// that neither large blocks nor tiny ones cost more I/O than they must. One thread.
/// </summary>
internal sealed class HeaderWindow : IDisposable
{
    private const int MaxBytes = 1024 * 1024;
    private readonly AlignedBuffer _buffer = new(MaxBytes);
    private IBlockFile? _file;
    private long _start;
    private int _bytes;

    public void Open(IBlockFile file)
    {
        _file = file;
        _start = _bytes = 0;
    }

    /// <summary>The granule at an offset, good until the next call. False: the file ends before it or cannot be read.</summary>
    public bool TryRead(long offset, out Span<byte> granule)
    {
        granule = default;
        if (offset + Limits.GranuleBytes > _file!.Length)
        {
            return false;
        }

        if ((offset < _start || offset >= _start + _bytes) && !TryFill(offset))
        {
            return false;
        }

        granule = _buffer.Span.Slice((int)(offset - _start), Limits.GranuleBytes);
        return true;
    }

    public void Dispose() => _buffer.Dispose();

    private bool TryFill(long offset)
    {
        var isNeighbour = offset == _start + _bytes;
        var wanted = isNeighbour ? Math.Clamp(_bytes * 2, Limits.GranuleBytes, MaxBytes) : Limits.GranuleBytes;
        var bytes = (int)Math.Min(wanted, (_file!.Length - offset) / Limits.GranuleBytes * Limits.GranuleBytes);
        var status = _file.Read(offset, _buffer.Span[..bytes], default);
        if (status != FileStatus.Ok && bytes > Limits.GranuleBytes)
        {
            bytes = Limits.GranuleBytes;
            status = _file.Read(offset, _buffer.Span[..bytes], default);
        }

        _start = offset;
        _bytes = status == FileStatus.Ok ? bytes : 0;
        return status == FileStatus.Ok;
    }
}
