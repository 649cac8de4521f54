using KvMesh.Protocol.Sockets;

namespace KvMesh.Protocol.Tests.Native;

/// <summary>A channel whose incoming bytes are known before, cut into pieces of a size, and whose outgoing bytes are kept.</summary>
internal sealed class MemoryChannel(byte[] incoming, int pieceBytes = int.MaxValue) : IByteChannel
{
    private readonly List<byte> _sent = [];
    private int _position;

    public byte[] Sent => [.. _sent];

    public int Left => incoming.Length - _position;

    public int Receive(Span<byte> buffer)
    {
        var count = Math.Min(Math.Min(buffer.Length, pieceBytes), Left);
        incoming.AsSpan(_position, count).CopyTo(buffer);
        _position += count;
        return count;
    }

    public int ReceiveOrIdle(Span<byte> buffer) => Receive(buffer);

    public void Send(ReadOnlySpan<byte> first, ReadOnlySpan<byte> second = default, ReadOnlySpan<byte> third = default)
    {
        _sent.AddRange(first);
        _sent.AddRange(second);
        _sent.AddRange(third);
    }
}
