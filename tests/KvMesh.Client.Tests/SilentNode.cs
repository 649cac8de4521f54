using System.Net;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.Protocol.Sockets;
using KvMesh.TestKit;

namespace KvMesh.Client.Tests;

/// <summary>A peer that greets, takes one request on each connection, and never answers it.</summary>
internal sealed class SilentNode : IDisposable
{
    private static readonly StreamSocketOptions Options = new() { StallLimit = Eventually.Patience };

    private readonly StreamListener _listener = StreamListener.Bind(new IPEndPoint(IPAddress.Loopback, 0), StreamSocketOptions.Default);
    private readonly TaskCompletionSource _asked = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<StreamSocket> _sockets = [];
    private readonly Task _accepting;

    public SilentNode() => _accepting = Eventually.Run(Serve);

    public EndPoint Endpoint => _listener.LocalEndPoint;

    /// <summary>Completes when a request has arrived.</summary>
    public Task Asked => _asked.Task;

    public void Dispose()
    {
        _listener.Interrupt();
        _accepting.Wait(Eventually.Patience);
        _sockets.ForEach(socket => socket.Dispose());
        _listener.Dispose();
    }

    private void Serve()
    {
        while (_listener.Accept(Options, out var socket) == AcceptOutcome.Accepted)
        {
            _sockets.Add(socket!);
            try
            {
                Greet(socket!);
            }
            catch (ChannelException)
            {
                // The client left.
            }
        }
    }

    private void Greet(StreamSocket socket)
    {
        var receiver = new FrameReceiver();
        var writer = new FrameWriter();
        receiver.Next(socket, out var hello, canIdle: false);
        writer.Begin(Verb.Hello, hello.RequestId, FrameFlags.Response);
        new HelloResponse { NodeId = "silent", Tenant = "default" }.Write(writer);
        writer.End(NativeStatus.Ok);
        writer.Flush(socket);
        if (receiver.Next(socket, out _, canIdle: false) == FrameArrival.Frame)
        {
            _asked.TrySetResult();
        }
    }
}
