using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace KvMesh.TestKit;

/// <summary>Loopback ports that nobody listens on at this moment, for servers that cannot be asked for any free one, or that come back.</summary>
public static class FreePort
{
    private const int LowestPort = 10_240;
    private const string RangeOfTheSystem = "/proc/sys/net/ipv4/ip_local_port_range";

    // Tests of several processes run at once: each begins elsewhere.
    private static int _last = Random.Shared.Next(1 << 20);

    /// <summary>
    /// A port below those that the system hands out itself: no connection and no other test takes it between two uses, and no client that
    /// tries to reach it can end up connected to itself.
    /// </summary>
    public static int Next()
    {
        var end = FirstPortOfTheSystem();
        for (var tries = 0; tries < end - LowestPort; tries++)
        {
            var port = LowestPort + (Interlocked.Increment(ref _last) % (end - LowestPort));
            if (IsFree(port))
            {
                return port;
            }
        }

        throw new InvalidOperationException($"Every port from {LowestPort} to {end - 1} is taken.");
    }

    private static int FirstPortOfTheSystem()
    {
        var first = int.Parse(File.ReadAllText(RangeOfTheSystem).Split()[0], CultureInfo.InvariantCulture);
        return first > LowestPort + 1000 ? first : 32_768;
    }

    private static bool IsFree(int port)
    {
        try
        {
            using var listener = new TcpListener(IPAddress.Loopback, port);
            listener.Start();
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}

/// <summary>A loopback port where connections are refused: it is held, and nobody listens.</summary>
public sealed class ClosedPort : IDisposable
{
    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

    public ClosedPort() => _socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));

    public IPEndPoint Endpoint => (IPEndPoint)_socket.LocalEndPoint!;

    public void Dispose() => _socket.Dispose();
}

/// <summary>A loopback port that somebody else listens on.</summary>
public sealed class TakenPort : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);

    public TakenPort() => _listener.Start();

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    public void Dispose() => _listener.Dispose();
}
