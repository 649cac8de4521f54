using KvMesh.Protocol.Sockets;
using Microsoft.Win32.SafeHandles;

namespace KvMesh.Client.Connections;

/// <summary>A channel that keeps the descriptor which comes beside the bytes. For the set-up of a connection, with one request under way.</summary>
internal sealed class DescriptorCatcher(IDescriptorChannel socket) : IByteChannel, IDisposable
{
    private SafeFileHandle? _caught;

    /// <summary>The descriptor that came last, now the caller's; null when none came.</summary>
    public SafeFileHandle? Take()
    {
        var caught = _caught;
        _caught = null;
        return caught;
    }

    public int Receive(Span<byte> buffer)
    {
        Span<int> descriptors = stackalloc int[1];
        var received = socket.ReceiveWithDescriptors(buffer, descriptors, out var count);
        if (count > 0)
        {
            _caught?.Dispose();
            _caught = new SafeFileHandle(descriptors[0], ownsHandle: true);
        }

        return received;
    }

    public int ReceiveOrIdle(Span<byte> buffer) => Receive(buffer);

    public void Send(ReadOnlySpan<byte> first, ReadOnlySpan<byte> second = default, ReadOnlySpan<byte> third = default) => socket.Send(first, second, third);

    public void Dispose() => _caught?.Dispose();
}
