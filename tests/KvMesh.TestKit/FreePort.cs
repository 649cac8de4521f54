using System.Net;
using System.Net.Sockets;

namespace KvMesh.TestKit;

/// <summary>Loopback ports that nobody listens on at this moment.</summary>
public static class FreePort
{
    public static int Next()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
