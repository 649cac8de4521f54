using Microsoft.Win32.SafeHandles;

namespace KvMesh.Protocol.Sockets;

/// <summary>Anonymous files in memory (memfd), made to be passed over a Unix socket and mapped at both ends.</summary>
public static class MemoryFile
{
    /// <summary>
    /// Creates a file of <paramref name="bytes"/> zero bytes whose size is sealed: whoever receives it can write into it but
    /// cannot shrink it, so a mapping of it never faults. Pages are allocated at first touch.
    /// </summary>
    /// <param name="name">Shown in <c>/proc</c> only; need not be unique.</param>
    public static SafeFileHandle Create(string name, long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytes);
        var descriptor = Libc.CreateMemoryFile(name, Libc.MemfdCloseOnExec | Libc.MemfdAllowSealing);
        if (descriptor < 0)
        {
            throw new IOException($"Creating the memory file '{name}' failed: {Libc.LastErrorText()}.");
        }

        var file = new SafeFileHandle(descriptor, ownsHandle: true);
        if (Libc.SetLength(descriptor, bytes) < 0 || Libc.Control(descriptor, Libc.FcntlAddSeals, Libc.SealShrink | Libc.SealGrow) < 0)
        {
            var reason = Libc.LastErrorText();
            file.Dispose();
            throw new IOException($"Sizing the memory file '{name}' to {bytes} bytes failed: {reason}.");
        }

        return file;
    }

    /// <summary>Whether <paramref name="file"/> is a memory file whose size can no longer change.</summary>
    public static bool IsSizeSealed(SafeFileHandle file)
    {
        var held = false;
        try
        {
            file.DangerousAddRef(ref held);
            const int Sealed = Libc.SealShrink | Libc.SealGrow;
            var seals = Libc.Control((int)file.DangerousGetHandle(), Libc.FcntlGetSeals, 0);
            return seals >= 0 && (seals & Sealed) == Sealed;
        }
        finally
        {
            if (held)
            {
                file.DangerousRelease();
            }
        }
    }
}
