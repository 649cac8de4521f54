using System.Runtime.InteropServices;
using KvMesh.Engine.Disk;
using Microsoft.Win32.SafeHandles;

namespace KvMesh.Engine.Arena;

/// <summary>
/// Which parts of an arena's file have memory behind them, and getting memory for others. A page of a full memory file system that is
/// touched for the first time ends the process (SIGBUS), so nobody writes where nothing was backed before; asking the kernel for the page instead is
/// an answer. Any thread.
/// </summary>
internal sealed partial class ArenaBacking(SafeFileHandle file, long fileBytes, Func<bool>? isFull) : IDisposable
{
    /// <summary>What is asked for at once, a huge page of common processors: about a millisecond.</summary>
    public const long ChunkBytes = 2L << 20;

    private readonly int[] _backed = new int[(fileBytes + ChunkBytes - 1) / ChunkBytes];
    private int _missing = (int)((fileBytes + ChunkBytes - 1) / ChunkBytes);

    /// <summary>Whether a range has memory behind it now. False: there is none left.</summary>
    public bool TryBack(long offset, long bytes)
    {
        if (Volatile.Read(ref _missing) == 0)
        {
            return true;
        }

        var last = (offset + bytes - 1) / ChunkBytes;
        for (var chunk = offset / ChunkBytes; chunk <= last; chunk++)
        {
            if (Volatile.Read(ref _backed[chunk]) == 0)
            {
                if (!TryAllocate(chunk * ChunkBytes))
                {
                    return false;
                }

                Note(chunk);
            }
        }

        return true;
    }

    /// <summary>A range was touched, page by page.</summary>
    public void NoteBacked(long offset, long bytes)
    {
        var end = offset + bytes == fileBytes ? _backed.Length : (offset + bytes) / ChunkBytes;
        for (var chunk = (offset + ChunkBytes - 1) / ChunkBytes; chunk < end; chunk++)
        {
            Note(chunk);
        }
    }

    /// <summary>Longest runs of chunks that nothing is known to back, as offsets in the file.</summary>
    public IEnumerable<(long Offset, long Bytes)> UnbackedRuns()
    {
        for (var chunk = 0; chunk < _backed.Length; chunk++)
        {
            var start = chunk;
            while (chunk < _backed.Length && Volatile.Read(ref _backed[chunk]) == 0)
            {
                chunk++;
            }

            if (chunk > start)
            {
                yield return (start * ChunkBytes, Math.Min(chunk * ChunkBytes, fileBytes) - (start * ChunkBytes));
            }
        }
    }

    public void Dispose() => file.Dispose();

    private void Note(long chunk)
    {
        if (Interlocked.Exchange(ref _backed[chunk], 1) == 0)
        {
            Interlocked.Decrement(ref _missing);
        }
    }

    private bool TryAllocate(long offset)
    {
        if (isFull is not null && isFull())
        {
            return false;
        }

        while (Allocate(file, 0, offset, Math.Min(ChunkBytes, fileBytes - offset)) != 0)
        {
            switch (Marshal.GetLastPInvokeError())
            {
                case Libc.Interrupted:
                    continue;
                case Libc.NotSupported or Libc.InvalidArgument:
                    // A file system that cannot say: the page is got when it is touched.
                    return true;
                default:
                    return false;
            }
        }

        return true;
    }

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    private static partial int Allocate(SafeFileHandle file, int mode, long offset, long bytes);
}
