using System.Net;
using System.Text;
using KvMesh.Cluster.Map;
using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Remote.Peers.Feed;

/// <summary>
/// A connection to a directory on the caller's thread: begin, send when it is made, then receive. The hello goes out with the first question. <see cref="Abort"/>
/// from any thread ends a wait.
/// </summary>
internal sealed class LocateConnection : IDisposable
{
    private static readonly StreamSocketOptions SocketOptions = new()
    {
        ConnectTimeout = TimeSpan.FromMilliseconds(500),
        StallLimit = TimeSpan.FromSeconds(2),
    };

    private readonly FrameReceiver _receiver = new();
    private readonly FrameWriter _writer = new();
    private ulong _lastId;
    private ulong _helloId;

    /// <exception cref="ChannelException">The address refuses.</exception>
    public LocateConnection(EndPoint address, PeerGreeting greeting)
    {
        Socket = StreamSocket.BeginConnect(address, SocketOptions);
        _writer.Version = greeting.Version;
        _receiver.Versions = NativeVersions.Only(greeting.Version);
        WriteHello(greeting);
    }

    public StreamSocket Socket { get; }

    /// <summary>Whether the connection is made by now.</summary>
    /// <exception cref="ChannelException">Nobody answers there.</exception>
    public bool TryFinishConnect() => Socket.TryFinishConnect();

    public void Send(ulong keyId, KeyDigest[] digests, bool asksForAll)
    {
        _writer.Begin(Verb.Locate, ++_lastId, FrameFlags.None);
        LocateRequest.Write(_writer, keyId, digests, asksForAll);
        _writer.End(NativeStatus.Ok);
        _writer.Flush(Socket);
    }

    /// <summary>Takes the answer.</summary>
    /// <param name="indexes">Where each digest of the question belongs.</param>
    /// <param name="map">Whose numbers name the nodes; one that it does not know is left out.</param>
    /// <param name="found">Receives who holds what.</param>
    /// <param name="sure">Receives the indexes that need not be asked about again.</param>
    public void Receive(List<int> indexes, BlockMap map, List<(int Index, ushort[] Holders)> found, List<int> sure)
    {
        if (_helloId > 0)
        {
            Receive(_helloId);
            _helloId = 0;
        }

        var reader = new HeadReader(Receive(_lastId));
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
            var holders = ReadHolders(ref reader, count & ~LocateResponse.Unsure, numbers);
            found.Add((index, holders));
            if ((count & LocateResponse.Unsure) == 0 || holders.Length > 0)
            {
                sure.Add(index);
            }
        }

        if (!reader.IsComplete)
        {
            throw new ChannelException("The answer of the directory does not hold what it says.");
        }
    }

    public void Abort() => Socket.Shutdown();

    public void Dispose() => Socket.Dispose();

    private static ushort[] ReadHolders(ref HeadReader reader, int count, ushort[] numbers)
    {
        Span<ushort> holders = stackalloc ushort[HolderLists.MaxNamed];
        var named = 0;
        for (var holder = 0; holder < count; holder++)
        {
            var place = reader.ReadUInt16();
            if (place < numbers.Length && numbers[place] is var number and not 0 && named < holders.Length && !holders[..named].Contains(number))
            {
                holders[named++] = number;
            }
        }

        return holders[..named].ToArray();
    }

    private void WriteHello(PeerGreeting greeting)
    {
        _helloId = ++_lastId;
        _writer.Begin(Verb.Hello, _helloId, FrameFlags.None);
        new HelloRequest
        {
            LowestVersion = greeting.Version,
            HighestVersion = greeting.Version,
            Token = Encoding.UTF8.GetBytes(greeting.Token ?? ""),
            ClientName = "kvmesh-locator"u8,
        }.Write(_writer);
        _writer.End(NativeStatus.Ok);
    }

    private ReadOnlySpan<byte> Receive(ulong id)
    {
        var arrival = _receiver.Next(Socket, out var header, canIdle: false);
        if (arrival != FrameArrival.Frame || header.RequestId != id || !header.IsResponse || header.PayloadBytes != 0)
        {
            throw new ChannelException($"The directory gave no answer to request {id}: {arrival}, request {header.RequestId}.");
        }

        return header.Status.IsRefusal() ? throw new ChannelException($"The directory refused: {Encoding.UTF8.GetString(_receiver.Head)}") : _receiver.Head;
    }
}
