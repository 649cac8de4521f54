using KvMesh.Client.SharedMemory;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Client.Connections;

/// <summary>A socket on which the node has greeted this client, with the buffers that have read its first frames.</summary>
internal sealed class GreetedSocket(StreamSocket socket, FrameReceiver receiver, FrameWriter writer, HelloResponse hello) : IDisposable
{
    public StreamSocket Socket => socket;

    public FrameReceiver Receiver => receiver;

    public FrameWriter Writer => writer;

    public HelloResponse Hello => hello;

    /// <summary>Shared with the other connections of the client, which owns it.</summary>
    public ArenaView? Arena { get; set; }

    public StagingArea? Staging { get; set; }

    public void Dispose()
    {
        socket.Dispose();
        Staging?.Dispose();
    }
}
