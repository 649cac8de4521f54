namespace KvMesh.Protocol.Sockets;

/// <summary>An eventfd: wakes a thread that waits for descriptors. Stays signalled until cleared. Any thread may set it.</summary>
internal sealed unsafe class WakeEvent : IDisposable
{
    private readonly SocketHandle _handle = new(Libc.CreateEvent(0, Libc.EventNonBlocking | Libc.EventCloseOnExec));

    public WakeEvent()
    {
        if (_handle.IsInvalid)
        {
            throw new IOException($"Creating an event descriptor failed: {Libc.LastErrorText()}.");
        }
    }

    public int Descriptor => _handle.Descriptor;

    /// <summary>Does nothing after Dispose: whoever waited has ended.</summary>
    public void Set()
    {
        var held = false;
        try
        {
            _handle.DangerousAddRef(ref held);

            // The only failure is a full counter, and that is signalled already.
            ulong one = 1;
            _ = Libc.Write(_handle.Descriptor, &one, sizeof(ulong));
        }
        catch (ObjectDisposedException)
        {
        }
        finally
        {
            if (held)
            {
                _handle.DangerousRelease();
            }
        }
    }

    public void Clear()
    {
        ulong count;
        _ = Libc.Read(_handle.Descriptor, &count, sizeof(ulong));
    }

    public void Dispose() => _handle.Dispose();
}
