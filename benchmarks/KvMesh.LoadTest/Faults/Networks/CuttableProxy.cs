using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace KvMesh.LoadTest.Faults.Networks;

/// <summary>
/// A way to a port. Cut, it behaves as a network that drops everything: connections stay open and silent, new ones are
/// accepted and silent too. Mended, what was under way arrives, as after a retransmission.
/// </summary>
internal sealed class CuttableProxy : IAsyncDisposable
{
    private readonly Socket _listener = new(SocketType.Stream, ProtocolType.Tcp);
    private readonly CancellationTokenSource _ending = new();
    private readonly ConcurrentDictionary<Task, byte> _connections = new();
    private readonly Gate _there = new();
    private readonly Gate _back = new();
    private readonly int _target;
    private readonly Task _accepting;

    /// <param name="target">Port on the loopback address where bytes go.</param>
    public CuttableProxy(int target)
    {
        _target = target;
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen();
        Address = $"127.0.0.1:{((IPEndPoint)_listener.LocalEndPoint!).Port}";
        _accepting = AcceptAsync();
    }

    public string Address { get; }

    /// <param name="there">Whether what goes to the port is lost, or what comes from it.</param>
    public void Cut(bool there) => (there ? _there : _back).Close();

    public void Mend()
    {
        _there.Open();
        _back.Open();
    }

    public async ValueTask DisposeAsync()
    {
        await _ending.CancelAsync();
        Mend();
        _listener.Dispose();
        await _accepting;
        await Task.WhenAll(_connections.Keys);
        _ending.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var connection = ServeAsync(await _listener.AcceptAsync(_ending.Token));
                _connections.TryAdd(connection, 0);
                foreach (var ended in _connections.Keys.Where(each => each.IsCompleted))
                {
                    _connections.TryRemove(ended, out _);
                }
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The proxy ends.
        }
    }

    private async Task ServeAsync(Socket client)
    {
        using var server = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        using (client)
        {
            client.NoDelay = true;
            try
            {
                await _there.PassAsync(_ending.Token);
                await server.ConnectAsync(IPAddress.Loopback, _target, _ending.Token);
                using var either = CancellationTokenSource.CreateLinkedTokenSource(_ending.Token);
                await Task.WhenAny(PumpAsync(client, server, _there, either.Token), PumpAsync(server, client, _back, either.Token));
                await either.CancelAsync();
            }
            catch (Exception exception) when (exception is OperationCanceledException or SocketException)
            {
                // Nobody is there, or the proxy ends: the connection does too.
            }
        }
    }

    private static async Task PumpAsync(Socket from, Socket to, Gate gate, CancellationToken cancellationToken)
    {
        var buffer = new byte[64 * 1024];
        try
        {
            while (await from.ReceiveAsync(buffer, cancellationToken) is > 0 and var bytes)
            {
                await gate.PassAsync(cancellationToken);
                for (var sent = 0; sent < bytes;)
                {
                    sent += await to.SendAsync(buffer.AsMemory(sent, bytes - sent), cancellationToken);
                }
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // One side ended; the other one follows.
        }
    }

    /// <summary>One direction of the way.</summary>
    private sealed class Gate
    {
        private volatile TaskCompletionSource _open = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Gate() => _open.SetResult();

        public void Close() => _open = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

        public void Open() => _open.TrySetResult();

        public Task PassAsync(CancellationToken cancellationToken) => _open.Task.WaitAsync(cancellationToken);
    }
}
