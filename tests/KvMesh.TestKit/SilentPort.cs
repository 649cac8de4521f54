using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace KvMesh.TestKit;

/// <summary>
/// A loopback port that answers nobody, as a machine that lost its power: the queue of its listener is full, so that the kernel drops what asks for a connection.
/// </summary>
public sealed class SilentPort : IDisposable
{
    private const string Connections = "/proc/net/tcp";

    /// <summary>State of a connection that has asked and has no answer, as the kernel lists it.</summary>
    private const string Asked = "02";

    /// <summary>A connection over loopback is made within the call or not at all; the kernel may do the rest of its work a moment later.</summary>
    private static readonly TimeSpan Settling = TimeSpan.FromMilliseconds(200);

    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly List<Socket> _inQueue = [];

    public SilentPort()
    {
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen(0);
        do
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            _inQueue.Add(socket);
            socket.ConnectAsync(Endpoint).Wait(Settling);
        }
        while (!IsFull());
    }

    public IPEndPoint Endpoint => (IPEndPoint)_listener.LocalEndPoint!;

    public void Dispose()
    {
        _listener.Dispose();
        foreach (var socket in _inQueue)
        {
            socket.Dispose();
        }
    }

    /// <summary>Whether somebody waits in vain. By the word of the kernel: that this process has not heard of a connection says nothing on a busy machine.</summary>
    private bool IsFull()
    {
        var port = string.Create(CultureInfo.InvariantCulture, $":{Endpoint.Port:X4}");
        return File.ReadLines(Connections).Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Any(
            fields => fields.Length > 3 && fields[2].EndsWith(port, StringComparison.Ordinal) && fields[3] == Asked);
    }
}
