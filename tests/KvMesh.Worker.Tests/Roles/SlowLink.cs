using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace KvMesh.Worker.Tests.Roles;

/// <summary>A way to a port over which answers come at a rate of so many bytes a second, that of all connections together.</summary>
internal sealed class SlowLink : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly ConcurrentBag<TcpClient> _clients = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _turn = new(1);
    private readonly int _port;
    private readonly int _bytesPerSecond;
    private readonly Task _accepting;

    public SlowLink(int port, int bytesPerSecond)
    {
        (_port, _bytesPerSecond) = (port, bytesPerSecond);
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public string Endpoint => $"tcp://{_listener.LocalEndpoint}";

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        foreach (var client in _clients)
        {
            client.Dispose();
        }

        await _accepting;
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var near = await _listener.AcceptTcpClientAsync(_stop.Token);
                var far = new TcpClient();
                _clients.Add(near);
                _clients.Add(far);
                await far.ConnectAsync(IPAddress.Loopback, _port, _stop.Token);
                _ = PassAsync(near, far, (_, _) => Task.CompletedTask);
                _ = PassAsync(far, near, WaitAsync);
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or SocketException)
        {
            // The test is over.
        }
    }

    private async Task PassAsync(TcpClient from, TcpClient to, Func<int, CancellationToken, Task> wait)
    {
        var buffer = new byte[2048];
        try
        {
            while (await from.GetStream().ReadAsync(buffer, _stop.Token) is var count and > 0)
            {
                await wait(count, _stop.Token);
                await to.GetStream().WriteAsync(buffer.AsMemory(0, count), _stop.Token);
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException or ObjectDisposedException or InvalidOperationException)
        {
            // An end was closed.
        }
    }

    private async Task WaitAsync(int bytes, CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken);
        try
        {
            await Task.Delay(TimeSpan.FromSeconds((double)bytes / _bytesPerSecond), TimeProvider.System, cancellationToken);
        }
        finally
        {
            _turn.Release();
        }
    }
}
