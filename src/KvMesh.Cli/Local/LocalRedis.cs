using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace KvMesh.Cli.Local;

/// <summary>A redis-server for a local mesh, on a free loopback port and without persistence: what it holds is known to the nodes.</summary>
internal sealed class LocalRedis : IAsyncDisposable
{
    private const int Attempts = 5;

    /// <summary>A shell between us, because redis-server does not end with its standard input.</summary>
    private const string Script = """redis-server "$@" & server=$!; cat > /dev/null; kill $server; wait $server""";

    private readonly LocalProcess _process;

    private LocalRedis(LocalProcess process, string address)
    {
        _process = process;
        Address = address;
    }

    public string Address { get; }

    /// <exception cref="CommandException">There is no redis-server, or it does not start.</exception>
    public static async Task<LocalRedis> StartAsync(string folder, TextWriter log, CancellationToken cancellationToken)
    {
        if (!IsInstalled())
        {
            throw new CommandException(
                ExitCode.Failure, "'redis-server' is not on the path, and the nodes meet in Redis: install it (apt install redis-server), or name a running one with --redis.");
        }

        for (var attempt = 1; attempt <= Attempts; attempt++)
        {
            var port = FreePort();
            string[] arguments =
            [
                "-c", Script, "redis", "--port", port.ToString(CultureInfo.InvariantCulture), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                "--loglevel", "warning", "--dir", folder,
            ];
            var process = LocalProcess.Start("redis", ("/bin/sh", arguments), new Dictionary<string, string>(), log);
            if (await AnswersAsync(port, process, cancellationToken))
            {
                return new LocalRedis(process, $"127.0.0.1:{port}");
            }

            await process.DisposeAsync();
        }

        throw new CommandException(ExitCode.Failure, "redis-server does not start; its messages are above.");
    }

    public ValueTask DisposeAsync() => _process.DisposeAsync();

    private static bool IsInstalled() => (Environment.GetEnvironmentVariable("PATH") ?? "")
        .Split(Path.PathSeparator).Any(folder => folder.Length > 0 && File.Exists(Path.Combine(folder, "redis-server")));

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    /// <summary>Waits until it accepts connections; false when it does not for half a minute.</summary>
    private static async Task<bool> AnswersAsync(int port, LocalProcess process, CancellationToken cancellationToken)
    {
        for (var i = 0; i < 600 && !process.Ended.IsCompleted; i++)
        {
            try
            {
                using var client = new TcpClient();
                await client.ConnectAsync(IPAddress.Loopback, port, cancellationToken);
                return true;
            }
            catch (SocketException)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, cancellationToken);
            }
        }

        return false;
    }
}
