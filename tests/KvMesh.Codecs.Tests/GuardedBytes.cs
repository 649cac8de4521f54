using System.Runtime.InteropServices;

namespace KvMesh.Codecs.Tests;

/// <summary>Bytes that end where memory ends: whoever reads or writes past them ends the process, so that no test can miss it.</summary>
internal sealed unsafe partial class GuardedBytes : IDisposable
{
    private const int PageBytes = 4096;
    private const int ReadAndWrite = 3;
    private const int PrivateAnonymous = 0x22;

    private readonly nint _address;
    private readonly nuint _mapped;
    private readonly int _usable;

    public GuardedBytes(int mostBytes)
    {
        _usable = (mostBytes + PageBytes - 1) / PageBytes * PageBytes;
        _mapped = (nuint)(_usable + PageBytes);
        _address = Map(0, _mapped, ReadAndWrite, PrivateAnonymous, -1, 0);
        Assert.NotEqual(-1, _address);
        Assert.Equal(0, Protect(_address + _usable, PageBytes, 0));
    }

    /// <summary>The last <paramref name="count"/> bytes before the end.</summary>
    public Span<byte> Last(int count) => new((byte*)_address + _usable - count, count);

    /// <summary>The last bytes before the end, filled.</summary>
    public ReadOnlySpan<byte> Holding(ReadOnlySpan<byte> content)
    {
        var bytes = Last(content.Length);
        content.CopyTo(bytes);
        return bytes;
    }

    public void Dispose() => _ = Unmap(_address, _mapped);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint Map(nint address, nuint bytes, int protection, int flags, int descriptor, long offset);

    [LibraryImport("libc", EntryPoint = "mprotect", SetLastError = true)]
    private static partial int Protect(nint address, nuint bytes, int protection);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    private static partial int Unmap(nint address, nuint bytes);
}
