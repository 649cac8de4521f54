using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace KvMesh.LoadTest.Faults.Networks;

/// <summary>A way to a port of this machine over which answers come at so many bytes a second, all connections together.</summary>
internal sealed class SlowLink : IAsyncDisposable
{
    /// <summary>Shorter waits are added up: timers are not that exact.</summary>
    private static readonly TimeSpan LeastWait = TimeSpan.FromMilliseconds(2);

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly ConcurrentBag<TcpClient> _clients = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _turn = new(1);
    private readonly int _port;
    private readonly double _bytesPerSecond;
    private readonly Task _accepting;
    private long _free = Stopwatch.GetTimestamp();

    public SlowLink(int port, double bytesPerSecond)
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
                _ = PassAsync(near, far, isSlow: false);
                _ = PassAsync(far, near, isSlow: true);
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or SocketException)
        {
            // It ends.
        }
    }

    private async Task PassAsync(TcpClient from, TcpClient to, bool isSlow)
    {
        // A hundredth of a second of the link.
        var buffer = new byte[(int)Math.Clamp(_bytesPerSecond / 100, 2 << 10, 256 << 10)];
        try
        {
            while (await from.GetStream().ReadAsync(buffer, _stop.Token) is var count and > 0)
            {
                if (isSlow)
                {
                    await WaitAsync(count);
                }

                await to.GetStream().WriteAsync(buffer.AsMemory(0, count), _stop.Token);
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException or ObjectDisposedException or InvalidOperationException)
        {
            // An end was closed.
        }
    }

    /// <summary>Waits until the link has carried these bytes, behind those that came before.</summary>
    private async Task WaitAsync(int bytes)
    {
        await _turn.WaitAsync(_stop.Token);
        try
        {
            _free = Math.Max(_free, Stopwatch.GetTimestamp()) + (long)(bytes / _bytesPerSecond * Stopwatch.Frequency);
            var wait = Stopwatch.GetElapsedTime(Stopwatch.GetTimestamp(), _free);
            if (wait >= LeastWait)
            {
                await Task.Delay(wait, TimeProvider.System, _stop.Token);
            }
        }
        finally
        {
            _turn.Release();
        }
    }
}
