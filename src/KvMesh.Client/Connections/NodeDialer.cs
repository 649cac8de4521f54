using System.Net;
using System.Text;
using KvMesh.Client.SharedMemory;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Client.Connections;

/// <summary>Opens connections to one node: connects, says hello, and moves to the Unix socket and to shared memory where it can.</summary>
internal sealed class NodeDialer
{
    private readonly ClientOptions _options;
    private readonly ArenaCache _arenas;
    private readonly EndPoint _endpoint;
    private readonly StreamSocketOptions _socketOptions;

    /// <exception cref="ArgumentException">The endpoint cannot be read.</exception>
    public NodeDialer(ClientOptions options, ArenaCache arenas)
    {
        _options = options;
        _arenas = arenas;
        _endpoint = Parse(options.Endpoint);
        var idle = TimeSpan.FromSeconds(Math.Min(1, options.RequestTimeout.TotalSeconds / 4));
        _socketOptions = new StreamSocketOptions
        {
            ConnectTimeout = options.ConnectTimeout,
            StallLimit = options.RequestTimeout,
            IdleWindow = idle,
            CongestionControl = options.CongestionControl ?? "",
        };
    }

    /// <summary>Blocks until the node has greeted this client.</summary>
    /// <exception cref="ChannelException">Nobody answers in time, or the connection broke.</exception>
    /// <exception cref="KvMeshConnectException">The node refuses this client.</exception>
    public GreetedSocket Dial(CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(_options.ConnectTimeout, _options.Time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            return DialWithin(both.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // The time was over between two steps: to the caller, who cancelled nothing, the node is lost as in any of them.
            throw new ChannelException($"{StreamEndpoint.Describe(_endpoint)} did not greet within {_options.ConnectTimeout.TotalSeconds:0.###} s.");
        }
    }

    private GreetedSocket DialWithin(CancellationToken limit)
    {
        var greeted = Greet(_endpoint, limit);
        try
        {
            greeted = PreferUnix(greeted, limit);
            if (_options.AllowSharedMemory && (greeted.Hello.Capabilities & NativeCapabilities.SharedMemory) != 0)
            {
                using var cancellation = limit.UnsafeRegister(static socket => ((StreamSocket)socket!).Shutdown(), greeted.Socket);
                SharedMemorySetup.Attach(greeted, _arenas, _options.StagingBytes);
            }

            return greeted;
        }
        catch
        {
            greeted.Dispose();
            throw;
        }
    }

    private static EndPoint Parse(string endpoint)
    {
        const string Tcp = "tcp://";
        try
        {
            return endpoint.StartsWith(Tcp, StringComparison.Ordinal) ? StreamEndpoint.Parse(endpoint[Tcp.Length..])
                : endpoint.StartsWith("unix:", StringComparison.Ordinal) ? StreamEndpoint.Parse(endpoint)
                : throw new FormatException($"'{endpoint}' is neither tcp://host:port nor unix:/path.");
        }
        catch (FormatException error)
        {
            throw new ArgumentException($"Endpoint: {error.Message}", nameof(endpoint), error);
        }
    }

    /// <summary>
    /// Takes the node's Unix socket instead of loopback when memory may be shared and the path leads to the same process: behind a tunnel it
    /// may be another node's.
    /// </summary>
    private GreetedSocket PreferUnix(GreetedSocket greeted, CancellationToken cancellationToken)
    {
        var path = greeted.Hello.UnixSocketPath;
        var isLoopback = IPAddress.TryParse(greeted.Socket.RemoteAddress, out var address) && IPAddress.IsLoopback(address);
        if (!_options.AllowSharedMemory || !isLoopback || path.Length == 0 || !File.Exists(path))
        {
            return greeted;
        }

        try
        {
            var local = Greet(StreamEndpoint.Unix(path), cancellationToken);
            var isSame = local.Hello.NodeId == greeted.Hello.NodeId && local.Hello.Incarnation == greeted.Hello.Incarnation;
            (isSame ? greeted : local).Dispose();
            return isSame ? local : greeted;
        }
        catch (Exception error) when (error is ChannelException or KvMeshConnectException or FormatException)
        {
            // Not ours to reach: loopback serves as well, only slower.
            return greeted;
        }
    }

    private GreetedSocket Greet(EndPoint endpoint, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var socket = StreamSocket.Connect(endpoint, _socketOptions);
        try
        {
            using var cancellation = cancellationToken.UnsafeRegister(static socket => ((StreamSocket)socket!).Shutdown(), socket);
            var receiver = new FrameReceiver();
            var writer = new FrameWriter();
            return new GreetedSocket(socket, receiver, writer, SayHello(socket, receiver, writer));
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private HelloResponse SayHello(StreamSocket socket, FrameReceiver receiver, FrameWriter writer)
    {
        writer.Begin(Verb.Hello, 0, FrameFlags.None);
        new HelloRequest
        {
            LowestVersion = NativeLimits.Version,
            HighestVersion = NativeLimits.Version,
            Capabilities = NativeCapabilities.Watch | (_options.AllowSharedMemory ? NativeCapabilities.SharedMemory : NativeCapabilities.None)
                | (_options.LosslessReads ? NativeCapabilities.LosslessReads : NativeCapabilities.None)
                | (_options.LosslessWrites ? NativeCapabilities.LosslessWrites : NativeCapabilities.None),
            Token = Encoding.UTF8.GetBytes(_options.Token ?? ""),
            ClientName = Encoding.UTF8.GetBytes(_options.ClientName),
        }.Write(writer);
        writer.End(NativeStatus.Ok);
        writer.Flush(socket);

        var arrival = receiver.Next(socket, out var header, canIdle: false);
        if (arrival != FrameArrival.Frame && receiver.Fault != FrameFault.UnsupportedVersion)
        {
            throw new ChannelException($"{StreamEndpoint.Describe(_endpoint)} does not speak the native protocol: {(arrival == FrameArrival.Closed ? "it closed the connection" : receiver.Fault)}.");
        }

        if (header.Status.IsRefusal())
        {
            throw new KvMeshConnectException($"The node at {StreamEndpoint.Describe(_endpoint)} refused: {Encoding.UTF8.GetString(receiver.Head)}") { IsRefusal = true };
        }

        return HelloResponse.TryRead(receiver.Head, out var hello) && NativeVersions.Own.Include(hello.Version)
            ? hello
            : throw new KvMeshConnectException($"The node at {StreamEndpoint.Describe(_endpoint)} greeted with {receiver.Head.Length} bytes that make no sense.");
    }
}
