using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace KvMesh.Engine.Arena;

/// <summary>What a sparse file has in fact, which its length does not say.</summary>
internal static unsafe partial class FilePages
{
    private const int CurrentDirectory = -100;
    private const uint BlocksMask = 0x400;
    private const int BlocksOffset = 48;
    private const int BlockBytes = 512;

    /// <summary>Bytes that are allocated to a file; 0 when there is no such file.</summary>
    public static long AllocatedBytes(string path)
    {
        var status = stackalloc byte[256];
        return Status(CurrentDirectory, path, 0, BlocksMask, status) == 0
            ? BinaryPrimitives.ReadInt64LittleEndian(new ReadOnlySpan<byte>(status + BlocksOffset, sizeof(long))) * BlockBytes
            : 0;
    }

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Status(int directory, string path, int flags, uint mask, byte* result);
}
