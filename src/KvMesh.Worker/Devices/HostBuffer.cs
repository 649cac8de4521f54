namespace KvMesh.Worker.Devices;

/// <summary>Memory of the host that a device copies from and to. The owner disposes it when no copy uses it any more.</summary>
public sealed unsafe class HostBuffer : IDisposable
{
    private Action<nint>? _release;

    internal HostBuffer(nint start, int bytes, Action<nint> release)
    {
        Start = start;
        Bytes = bytes;
        _release = release;
    }

    public nint Start { get; }

    public int Bytes { get; }

    public Span<byte> Span
    {
        get
        {
            ObjectDisposedException.ThrowIf(_release is null, this);
            return new Span<byte>((void*)Start, Bytes);
        }
    }

    public void Dispose() => Interlocked.Exchange(ref _release, null)?.Invoke(Start);
}
