using System.Net;
using System.Net.Sockets;

namespace KvMesh.Remote.Tests.Redis.Blocks;

/// <summary>Accepts connections and says the same to everyone, whatever it is asked: something at once, then something byte by byte. Then it closes.</summary>
internal sealed class OddServer : IAsyncDisposable
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private readonly Socket _listener = new(SocketType.Stream, ProtocolType.Tcp);
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _accepting;
    private readonly byte[] _atOnce;
    private readonly byte[] _slowly;

    public OddServer(byte[] atOnce, byte[] slowly)
    {
        _atOnce = atOnce;
        _slowly = slowly;
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen();
        _accepting = AcceptAsync();
    }

    public string Address => _listener.LocalEndPoint!.ToString()!;

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        await _accepting;
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        var conversations = new List<Task>();
        try
        {
            while (true)
            {
                conversations.Add(AnswerAsync(await _listener.AcceptAsync(_stop.Token)));
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException)
        {
        }

        await Task.WhenAll(conversations);
    }

    private async Task AnswerAsync(Socket socket)
    {
        using (socket)
        {
            try
            {
                // The question first: a close with unread bytes would be a reset.
                await socket.ReceiveAsync(new byte[4096], _stop.Token);
                await socket.SendAsync(_atOnce, _stop.Token);
                foreach (var value in _slowly)
                {
                    await Task.Delay(Pause, TimeProvider.System, _stop.Token);
                    await socket.SendAsync(new[] { value }, _stop.Token);
                }
            }
            catch (Exception exception) when (exception is OperationCanceledException or SocketException)
            {
            }
        }
    }
}
