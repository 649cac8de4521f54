using KvMesh.Client.Connections;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.Protocol.Sockets;
using KvMesh.TestKit;
using Microsoft.Win32.SafeHandles;

namespace KvMesh.Client.Tests;

/// <summary>A client of the Unix socket that keeps to no rules but those it wants to.</summary>
internal sealed class RawPeer : IDisposable
{
    private readonly StreamSocket _socket;
    private readonly DescriptorCatcher _catcher;
    private readonly FrameReceiver _receiver = new();
    private readonly FrameWriter _writer = new();

    public RawPeer(string path)
    {
        _socket = StreamSocket.Connect(StreamEndpoint.Unix(path), StreamSocketOptions.Default with { StallLimit = Eventually.Patience });
        _catcher = new DescriptorCatcher(_socket);
        Assert.Equal(NativeStatus.Ok, Ask(Verb.Hello, writer => new HelloRequest { LowestVersion = 1, HighestVersion = 1 }.Write(writer)).Status);
    }

    public byte[] Head => _receiver.Head.ToArray();

    public SafeFileHandle TakeDescriptor() => _catcher.Take() ?? throw new InvalidOperationException("No descriptor came with the answer.");

    public FrameHeader Ask(Verb verb, Action<FrameWriter>? head = null)
    {
        _writer.Begin(verb, 1, FrameFlags.None);
        head?.Invoke(_writer);
        _writer.End(NativeStatus.Ok);
        _writer.Flush(_socket);
        Assert.Equal(FrameArrival.Frame, _receiver.Next(_catcher, out var header, canIdle: false));
        return header;
    }

    public void Dispose()
    {
        _catcher.Dispose();
        _socket.Dispose();
    }
}
