using System.Net.Sockets;

namespace KvMesh.TestKit;

/// <summary>A real redis-server on a free loopback port, without persistence. A missing program fails the test.</summary>
public sealed class RedisServer : IAsyncDisposable
{
    private const int Attempts = 5;

    private readonly ChildProcess _process;

    private RedisServer(ChildProcess process, int port)
    {
        _process = process;
        Port = port;
    }

    public int Port { get; }

    /// <exception cref="InvalidOperationException">There is no redis-server on this machine.</exception>
    public static async Task<RedisServer> StartAsync()
    {
        for (var attempt = 1; ; attempt++)
        {
            var port = FreePort.Next();
            var process = ChildProcess.Start(
                "redis-server",
                ["--port", $"{port}", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--databases", "1", "--dir", Path.GetTempPath()]);
            try
            {
                await process.WaitForLineAsync(line => line.Contains("eady to accept connections", StringComparison.Ordinal), "ready line", Eventually.Patience);
                return new RedisServer(process, port);
            }
            catch (TimeoutException failure) when (failure.Message.Contains("Address already in use", StringComparison.Ordinal) && attempt < Attempts)
            {
                // Somebody took the port between the look and the start.
                await process.DisposeAsync();
            }
            catch
            {
                await process.DisposeAsync();
                throw;
            }
        }
    }

    /// <summary>A connected socket.</summary>
    public Socket Connect()
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        socket.Connect("127.0.0.1", Port);
        return socket;
    }

    public ValueTask DisposeAsync() => _process.DisposeAsync();
}
