using System.Text;
using KvMesh.Cluster.Map;
using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Remote.Peers.Feed;

/// <summary>A connection to a directory on the caller's thread: send, then receive. <see cref="Abort"/> from any thread ends a wait.</summary>
internal sealed class LocateConnection : IDisposable
{
    private static readonly StreamSocketOptions SocketOptions = new()
    {
        ConnectTimeout = TimeSpan.FromMilliseconds(500),
        StallLimit = TimeSpan.FromSeconds(2),
    };

    private readonly StreamSocket _socket;
    private readonly FrameReceiver _receiver = new();
    private readonly FrameWriter _writer = new();
    private ulong _lastId;

    private LocateConnection(StreamSocket socket) => _socket = socket;

    /// <exception cref="ChannelException">Nobody answers as a node does, or the time is over.</exception>
    public static LocateConnection Connect(string address, string? token, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var connection = new LocateConnection(Dial(address));
        try
        {
            using var watch = cancellationToken.UnsafeRegister(static opened => ((LocateConnection)opened!).Abort(), connection);
            connection.Send(Verb.Hello, writer => new HelloRequest
            {
                LowestVersion = NativeLimits.Version,
                HighestVersion = NativeLimits.Version,
                Token = Encoding.UTF8.GetBytes(token ?? ""),
                ClientName = "kvmesh-locator"u8,
            }.Write(writer));
            connection.Receive();
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    public void Send(ulong keyId, KeyDigest[] digests) => Send(Verb.Locate, writer => LocateRequest.Write(writer, keyId, digests));

    /// <summary>Takes the answer.</summary>
    /// <param name="indexes">Where each digest of the question belongs.</param>
    /// <param name="map">Whose numbers name the nodes; one that it does not know is left out.</param>
    /// <param name="found">Receives who holds what.</param>
    /// <param name="sure">Receives the indexes that need not be asked about again.</param>
    public void Receive(List<int> indexes, BlockMap map, List<(int Index, BlockHolders Holders)> found, List<int> sure)
    {
        var reader = new HeadReader(Receive());
        var response = LocateResponse.Read(ref reader);
        var numbers = new ushort[response.NodeCount];
        for (var node = 0; node < numbers.Length; node++)
        {
            numbers[node] = NodeId.TryParse(Encoding.UTF8.GetString(reader.ReadShortBytes()), out var id, out _) ? map.NumberOf(id) : (ushort)0;
        }

        if (response.BlockCount != indexes.Count)
        {
            throw new ChannelException($"The directory answered about {response.BlockCount} blocks; {indexes.Count} were asked about.");
        }

        foreach (var index in indexes)
        {
            var count = reader.ReadByte();
            var holders = default(BlockHolders);
            for (var holder = 0; holder < (count & ~LocateResponse.Unsure); holder++)
            {
                var place = reader.ReadUInt16();
                holders = place < numbers.Length && numbers[place] != 0 && !holders.Contains(numbers[place]) ? holders.With(numbers[place]) : holders;
            }

            found.Add((index, holders));
            if ((count & LocateResponse.Unsure) == 0 || !holders.IsEmpty)
            {
                sure.Add(index);
            }
        }

        if (!reader.IsComplete)
        {
            throw new ChannelException("The answer of the directory does not hold what it says.");
        }
    }

    public void Abort() => _socket.Shutdown();

    public void Dispose() => _socket.Dispose();

    private static StreamSocket Dial(string address)
    {
        try
        {
            return StreamSocket.Connect(StreamEndpoint.Parse(address), SocketOptions);
        }
        catch (FormatException error)
        {
            throw new ChannelException(error.Message, error);
        }
    }

    private void Send(Verb verb, Action<FrameWriter> writeHead)
    {
        _writer.Begin(verb, ++_lastId, FrameFlags.None);
        writeHead(_writer);
        _writer.End(NativeStatus.Ok);
        _writer.Flush(_socket);
    }

    private ReadOnlySpan<byte> Receive()
    {
        var arrival = _receiver.Next(_socket, out var header, canIdle: false);
        if (arrival != FrameArrival.Frame || header.RequestId != _lastId || !header.IsResponse || header.PayloadBytes != 0)
        {
            throw new ChannelException($"The directory gave no answer to request {_lastId}: {arrival}, request {header.RequestId}.");
        }

        return header.Status.IsRefusal() ? throw new ChannelException($"The directory refused: {Encoding.UTF8.GetString(_receiver.Head)}") : _receiver.Head;
    }
}
