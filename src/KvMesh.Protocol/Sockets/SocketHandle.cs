using Microsoft.Win32.SafeHandles;

namespace KvMesh.Protocol.Sockets;

/// <summary>
/// Owns one descriptor and closes it exactly once, and only after the last call that uses it has returned: a number that
/// the kernel could hand out again never reaches a system call of a thread that still means the old one.
/// </summary>
internal sealed class SocketHandle : SafeHandleMinusOneIsInvalid
{
    public SocketHandle(int descriptor)
        : base(ownsHandle: true) => SetHandle(descriptor);

    /// <summary>The number, for a caller that holds a reference or knows that nobody disposes meanwhile.</summary>
    public int Descriptor => (int)handle;

    /// <summary>Takes a reference; throws <see cref="ObjectDisposedException"/> after Dispose. Pair with <see cref="System.Runtime.InteropServices.SafeHandle.DangerousRelease"/>.</summary>
    public int Hold()
    {
        var held = false;
        DangerousAddRef(ref held);
        return (int)handle;
    }

    protected override bool ReleaseHandle() => Libc.Close((int)handle) == 0;
}
