using KvMesh.Protocol.Native;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Client.Operations;

/// <summary>The head and the payload of one frame of an answer. The payload must be taken to its last byte.</summary>
internal readonly ref struct ResponseReader(FrameReceiver receiver, IByteChannel channel)
{
    public ReadOnlySpan<byte> Head => receiver.Head;

    /// <summary>Receives at least one byte of the payload.</summary>
    public int ReceiveSome(Span<byte> destination) => receiver.ReceiveSome(channel, destination);

    public void Receive(Span<byte> destination) => receiver.Receive(channel, destination);

    public void Skip(long count) => receiver.Skip(channel, count);
}
