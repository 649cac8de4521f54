using System.Buffers;

namespace KvMesh.Client.SharedMemory;

/// <summary>Memory of this process, for payloads that go over the socket.</summary>
internal sealed class PooledMemory(int bytes) : IMemoryOwner<byte>
{
    private byte[]? _array = ArrayPool<byte>.Shared.Rent(bytes);

    public Memory<byte> Memory => (_array ?? throw new ObjectDisposedException(nameof(PooledMemory))).AsMemory(0, bytes);

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _array, null) is { } array)
        {
            ArrayPool<byte>.Shared.Return(array);
        }
    }
}
