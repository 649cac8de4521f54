using KvMesh.LoadTest.Verbs;
using KvMesh.Protocol.Sockets;

namespace KvMesh.LoadTest.Clients;

/// <summary>The client side of the bare socket loop. One thread. Payloads walk 64 MiB of private memory.</summary>
internal sealed class LoopConnection : IDisposable
{
    private const int WalkBytes = 64 * 1024 * 1024;

    private readonly StreamSocket _socket;
    private readonly byte[] _request = new byte[LoopServer.RequestBytes];
    private readonly byte[] _reply = new byte[LoopServer.RequestBytes];
    private readonly byte[] _walk;
    private readonly uint[] _table = new uint[Protocol.Limits.MaxChecksumEntries];
    private int _position;

    public LoopConnection(string endpoint, string congestionControl)
    {
        _socket = StreamSocket.Connect(StreamEndpoint.Parse(endpoint), Options(congestionControl));
        _walk = GC.AllocateUninitializedArray<byte>(WalkBytes, pinned: true);
        _walk.AsSpan().Fill(0x5A);
    }

    /// <summary>Options of every socket here: connections idle while other contenders have their turn.</summary>
    public static StreamSocketOptions Options(string congestionControl) =>
        new() { CongestionControl = congestionControl, StallLimit = TimeSpan.FromMinutes(10) };

    public void Ping()
    {
        LoopServer.WriteRequest(_request, LoopOperation.Ping, 0, serverChecksums: false);
        _socket.Send(_request);
        LoopServer.Receive(_socket, _reply, null);
    }

    public void Get(int payloadBytes, bool serverChecksums, bool clientChecksums)
    {
        LoopServer.WriteRequest(_request, LoopOperation.Get, payloadBytes, serverChecksums);
        _socket.Send(_request);
        LoopServer.Receive(_socket, _reply, null);
        LoopServer.Receive(_socket, Walk(payloadBytes), clientChecksums ? _table : null);
    }

    public void Put(int payloadBytes, bool serverChecksums, bool clientChecksums)
    {
        var payload = Walk(payloadBytes);
        if (clientChecksums)
        {
            MemoryVerb.Checksum(payload);
        }

        LoopServer.WriteRequest(_request, LoopOperation.Put, payloadBytes, serverChecksums);
        _socket.Send(_request, payload);
        LoopServer.Receive(_socket, _reply, null);
    }

    public void Dispose() => _socket.Dispose();

    private Span<byte> Walk(int bytes)
    {
        _position = _position + bytes > _walk.Length ? 0 : _position;
        var part = _walk.AsSpan(_position, bytes);
        _position += bytes;
        return part;
    }
}
