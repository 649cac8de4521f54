using System.Net;
using System.Net.Sockets;
using System.Text;

namespace KvMesh.LoadTest.Members;

/// <summary>
/// Bare connections that listen to the news of a cluster: one for each member that shares its connection with others here and would have one of
/// its own as a process. So redis-server sends each message as often as to a fleet of processes, and meets as many connections when it is
/// started again.
/// </summary>
internal sealed class NewsListeners : IAsyncDisposable
{
    private readonly CancellationTokenSource _ending = new();
    private readonly Task[] _listening;
    private readonly byte[] _question;
    private readonly int _port;
    private int _connected;

    public NewsListeners(int port, string channel, int count)
    {
        _port = port;
        _question = Encoding.ASCII.GetBytes($"SUBSCRIBE {channel}\r\n");
        _listening = [.. Enumerable.Range(0, count).Select(index => ListenAsync(new Random(index)))];
    }

    public int Count => _listening.Length;

    public int Connected => Volatile.Read(ref _connected);

    public async ValueTask DisposeAsync()
    {
        await _ending.CancelAsync().ConfigureAwait(false);
        await Task.WhenAll(_listening).ConfigureAwait(false);
        _ending.Dispose();
    }

    private async Task ListenAsync(Random random)
    {
        var buffer = new byte[256];
        while (!_ending.IsCancellationRequested)
        {
            using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
            var isConnected = false;
            try
            {
                await socket.ConnectAsync(IPAddress.Loopback, _port, _ending.Token).ConfigureAwait(false);
                await socket.SendAsync(_question, _ending.Token).ConfigureAwait(false);
                Interlocked.Increment(ref _connected);
                isConnected = true;
                while (await socket.ReceiveAsync(buffer, _ending.Token).ConfigureAwait(false) > 0)
                {
                    // What it says is the members' business.
                }
            }
            catch (Exception exception) when (exception is SocketException or OperationCanceledException)
            {
                // redis-server is away, or the run ends.
            }

            Interlocked.Add(ref _connected, isConnected ? -1 : 0);
            await Task.Delay(TimeSpan.FromMilliseconds(250 + random.Next(500)), _ending.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }
}
