using System.Net.Sockets;

namespace KvMesh.TestKit;

/// <summary>A real redis-server on a free loopback port, without persistence.</summary>
public sealed class RedisServer : IAsyncDisposable
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(20);

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
        var port = FreePort.Next();
        var process = ChildProcess.Start(
            "redis-server", ["--port", $"{port}", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", Path.GetTempPath()]);
        await process.WaitForLineAsync(line => line.Contains("eady to accept connections", StringComparison.Ordinal), "ready line", StartLimit);
        return new RedisServer(process, port);
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
