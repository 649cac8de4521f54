using System.Diagnostics;
using System.Runtime.InteropServices;
using KvMesh.Protocol;

namespace KvMesh.Engine.Disk;

/// <summary>A file of the machine, by its descriptor. The owner disposes it when no call is in progress.</summary>
internal sealed unsafe class LocalBlockFile : IBlockFile
{
    private readonly bool _direct;
    private int _descriptor;
    private long _length;

    public LocalBlockFile(int descriptor, long length, bool direct)
    {
        _descriptor = descriptor;
        _length = length;
        _direct = direct;
    }

    public long Length => Volatile.Read(ref _length);

    public FileStatus Read(long offset, Span<byte> first, Span<byte> second)
    {
        fixed (byte* firstStart = first)
        fixed (byte* secondStart = second)
        {
            return Transfer(isWrite: false, offset, firstStart, first.Length, secondStart, second.Length);
        }
    }

    public FileStatus Write(long offset, ReadOnlySpan<byte> first, ReadOnlySpan<byte> second)
    {
        fixed (byte* firstStart = first)
        fixed (byte* secondStart = second)
        {
            var status = Transfer(isWrite: true, offset, firstStart, first.Length, secondStart, second.Length);
            if (status == FileStatus.Ok)
            {
                GrowTo(offset + first.Length + second.Length);
            }

            return status;
        }
    }

    public FileStatus Truncate(long bytes)
    {
        if (Libc.SetLength(_descriptor, bytes) != 0)
        {
            return Libc.LastStatus();
        }

        Volatile.Write(ref _length, bytes);
        return FileStatus.Ok;
    }

    public FileStatus Sync()
    {
        int result;
        do
        {
            result = Libc.SyncData(_descriptor);
        }
        while (result != 0 && Marshal.GetLastPInvokeError() == Libc.Interrupted);

        return result == 0 ? FileStatus.Ok : Libc.LastStatus();
    }

    public void Dispose()
    {
        var descriptor = Interlocked.Exchange(ref _descriptor, -1);
        if (descriptor >= 0)
        {
            _ = Libc.Close(descriptor);
        }
    }

    private FileStatus Transfer(bool isWrite, long offset, byte* first, long firstBytes, byte* second, long secondBytes)
    {
        Debug.Assert(
            !_direct || Granules.IsAligned(offset | firstBytes | secondBytes | (long)first | (long)second),
            "Direct I/O needs granules: offset, lengths and memory.");
        var transfer = new GatheredTransfer(firstBytes, secondBytes, _direct ? Limits.GranuleBytes : 1);
        var pieces = stackalloc Libc.Piece[2];
        while (!transfer.IsComplete)
        {
            var count = 0;
            var (firstFrom, secondFrom) = transfer.Position;
            if (firstFrom < firstBytes)
            {
                pieces[count++] = new Libc.Piece { Start = first + firstFrom, Bytes = (nint)(firstBytes - firstFrom) };
            }

            if (secondFrom < secondBytes)
            {
                pieces[count++] = new Libc.Piece { Start = second + secondFrom, Bytes = (nint)(secondBytes - secondFrom) };
            }

            var moved = isWrite
                ? Libc.WritePieces(_descriptor, pieces, count, offset + transfer.Done)
                : Libc.ReadPieces(_descriptor, pieces, count, offset + transfer.Done);
            if (moved < 0 && Marshal.GetLastPInvokeError() == Libc.Interrupted)
            {
                continue;
            }

            if (moved < 0)
            {
                return Libc.LastStatus();
            }

            if (!transfer.TryAdvance(moved))
            {
                return FileStatus.Failed;
            }
        }

        return FileStatus.Ok;
    }

    private void GrowTo(long length)
    {
        for (var seen = Length; seen < length;)
        {
            var before = Interlocked.CompareExchange(ref _length, length, seen);
            if (before == seen)
            {
                return;
            }

            seen = before;
        }
    }
}

/// <summary>
/// How far a transfer of two pieces of memory has come. The kernel may move less than it was asked to; with direct I/O the next call must
/// begin on a granule again, so a fraction of one is moved twice.
/// </summary>
internal struct GatheredTransfer(long firstBytes, long secondBytes, int unit)
{
    public long Done { get; private set; }

    public readonly bool IsComplete => Done >= firstBytes + secondBytes;

    /// <summary>Where to go on in each piece.</summary>
    public readonly (long First, long Second) Position => (Math.Min(Done, firstBytes), Math.Max(0, Done - firstBytes));

    /// <summary>Counts moved bytes. False when there was no progress, which would repeat for ever: the end of the file, or a tiny step.</summary>
    public bool TryAdvance(long moved)
    {
        var isLast = Done + moved >= firstBytes + secondBytes;
        var usable = isLast ? moved : moved / unit * unit;
        Done += usable;
        return usable > 0;
    }
}
