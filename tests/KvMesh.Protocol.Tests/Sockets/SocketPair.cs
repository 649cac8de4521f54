using System.Net;
using KvMesh.Protocol.Sockets;
using KvMesh.TestKit;

namespace KvMesh.Protocol.Tests.Sockets;

/// <summary>Two ends of one real connection, over loopback TCP or a Unix socket.</summary>
internal sealed class SocketPair : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("kvmesh-sockets-").FullName;

    public SocketPair(bool isUnix, StreamSocketOptions? options = null)
    {
        options ??= new StreamSocketOptions { StallLimit = Eventually.Patience };
        EndPoint endpoint = isUnix ? StreamEndpoint.Unix(Path.Combine(_folder, "pair.sock")) : new IPEndPoint(IPAddress.Loopback, 0);
        using var listener = StreamListener.Bind(endpoint, options);
        Near = StreamSocket.Connect(listener.LocalEndPoint, options);
        Assert.Equal(AcceptOutcome.Accepted, listener.Accept(options, out var far));
        Far = far!;
    }

    public StreamSocket Near { get; }

    public StreamSocket Far { get; }

    public void Dispose()
    {
        Near.Dispose();
        Far.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}
