using System.Net.Sockets;
using System.Text;

namespace KvMesh.Server.Hosting;

/// <summary>
/// Tells systemd how the node is, by sd_notify's datagrams to $NOTIFY_SOCKET. Without that variable it does nothing.
/// </summary>
internal sealed class ServiceNotifier
{
    private readonly string? _socketPath;
    private readonly TimeProvider _time;

    public ServiceNotifier(string? socketPath, TimeProvider time)
    {
        // A leading @ stands for the zero byte of an abstract address.
        _socketPath = string.IsNullOrEmpty(socketPath) ? null : socketPath[0] == '@' ? "\0" + socketPath[1..] : socketPath;
        _time = time;
    }

    /// <summary>The node serves. The main process is this one, also when it took over from another.</summary>
    public void Ready(string status) => Send($"READY=1\nMAINPID={Environment.ProcessId}\nSTATUS={status}");

    /// <summary>Configuration is read again or a successor takes over. The stamp lets systemd match it with the Ready that follows.</summary>
    public void Reloading() => Send($"RELOADING=1\nMONOTONIC_USEC={MonotonicMicroseconds()}");

    /// <summary>
    /// Another process serves instead. The one that is left says so before it ends: whoever learns of its end first would stop the
    /// whole service.
    /// </summary>
    public void Succeeded(int processId) => Send($"MAINPID={processId}\nSTATUS=Process {processId} took over");

    public void Stopping(string status) => Send($"STOPPING=1\nSTATUS={status}");

    private void Send(string message)
    {
        if (_socketPath is null)
        {
            return;
        }

        try
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
            socket.SendTo(Encoding.UTF8.GetBytes(message), new UnixDomainSocketEndPoint(_socketPath));
        }
        catch (SocketException)
        {
            // The service manager went away: the node serves all the same, and there is nobody to tell.
        }
    }

    private long MonotonicMicroseconds() => (long)(_time.GetTimestamp() * (1_000_000.0 / _time.TimestampFrequency));
}
