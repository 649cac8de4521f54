using System.Net;
using System.Net.Sockets;
using System.Text;

namespace KvMesh.System.Tests.Dashboard;

/// <summary>A client that sets values and gets them again, three hits to a miss, until it is disposed.</summary>
internal sealed class RespLoad : IAsyncDisposable
{
    private const int ValueBytes = 64 * 1024;

    private readonly CancellationTokenSource _stopping = new();
    private readonly TcpClient _client = new() { NoDelay = true };
    private Task _loop = Task.CompletedTask;
    private bool _isRepetitive;

    /// <param name="resp">Where the node listens.</param>
    /// <param name="isRepetitive">Whether half of each value is zeros.</param>
    public static async Task<RespLoad> StartAsync(IPEndPoint resp, bool isRepetitive = false)
    {
        var load = new RespLoad { _isRepetitive = isRepetitive };
        await load._client.ConnectAsync(resp);
        load._loop = Task.Run(load.RunAsync);
        return load;
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        _client.Dispose();
        await _loop;
        _stopping.Dispose();
    }

    private async Task RunAsync()
    {
        var stream = _client.GetStream();
        var value = new byte[ValueBytes];
        new Random(7).NextBytes(_isRepetitive ? value.AsSpan(ValueBytes / 2) : value);
        var reply = new byte[ValueBytes + 64];
        try
        {
            for (var round = 0; !_stopping.IsCancellationRequested; round++)
            {
                var key = $"{(round % 3 == 0 ? "chat" : "dashboard")}:{round % 200}";
                await SendAsync(stream, $"*3\r\n$3\r\nSET\r\n${key.Length}\r\n{key}\r\n${ValueBytes}\r\n", value);
                await ReadLineAsync(stream, reply);
                await GetAsync(stream, key, reply);
                await GetAsync(stream, key, reply);
                await GetAsync(stream, key, reply);
                await GetAsync(stream, $"missing:{round}", reply);
            }
        }
        catch (Exception exception) when (_stopping.IsCancellationRequested && exception is IOException or ObjectDisposedException)
        {
            // Disposed in the middle of a request.
        }
    }

    private static async Task GetAsync(NetworkStream stream, string key, byte[] reply)
    {
        await SendAsync(stream, $"*2\r\n$3\r\nGET\r\n${key.Length}\r\n{key}\r\n", null);
        var header = await ReadLineAsync(stream, reply);
        if (header != "$-1")
        {
            await stream.ReadExactlyAsync(reply.AsMemory(0, int.Parse(header.AsSpan(1)) + 2));
        }
    }

    private static async Task SendAsync(NetworkStream stream, string head, byte[]? value)
    {
        await stream.WriteAsync(Encoding.ASCII.GetBytes(head));
        if (value is not null)
        {
            await stream.WriteAsync(value);
            await stream.WriteAsync("\r\n"u8.ToArray());
        }
    }

    private static async Task<string> ReadLineAsync(NetworkStream stream, byte[] buffer)
    {
        var length = 0;
        while (length < 2 || buffer[length - 1] != '\n')
        {
            await stream.ReadExactlyAsync(buffer.AsMemory(length++, 1));
        }

        return Encoding.ASCII.GetString(buffer, 0, length - 2);
    }
}
