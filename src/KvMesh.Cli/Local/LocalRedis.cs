using System.Globalization;
using System.Net;
using System.Net.Sockets;
using KvMesh.Cluster.Membership;
using KvMesh.Remote.Redis.Coordination;

namespace KvMesh.Cli.Local;

/// <summary>A redis-server for a local mesh, on a free loopback port and without persistence: what it holds is known to the nodes.</summary>
internal sealed class LocalRedis : IAsyncDisposable
{
    private const int Attempts = 5;

    private static readonly TimeSpan CheckLimit = TimeSpan.FromSeconds(10);

    /// <summary>
    /// A shell between us, because redis-server does not end with its standard input. It ends with the server, whoever ended that, and with its code.
    /// </summary>
    private const string Script =
        """
        exec 3<&0
        redis-server "$@" & server=$!
        { cat <&3; kill $server; } > /dev/null 2>&1 & waiter=$!
        wait $server; code=$?
        kill $waiter 2> /dev/null
        exit $code
        """;

    private readonly Supervised _process;

    private LocalRedis(Supervised process, string address)
    {
        _process = process;
        Address = address;
    }

    public string Address { get; }

    /// <param name="stopping">From when on it is not started again.</param>
    /// <exception cref="CommandException">There is no redis-server, or it does not start.</exception>
    public static async Task<LocalRedis> StartAsync(string folder, TextWriter log, TimeProvider time, CancellationToken stopping)
    {
        if (!IsInstalled())
        {
            throw new CommandException(
                ExitCode.Failure, "'redis-server' is not on the path, and the nodes meet in Redis: install it (apt install redis-server), or name a running one with --redis.");
        }

        for (var attempt = 1; ; attempt++)
        {
            var port = FreePort();
            var process = new Supervised("redis", () => Start(folder, port, log), (started, stop) => AnswersAsync(port, started, stop), log, time, stopping);
            try
            {
                await process.FirstReadyAsync(stopping);
                return new LocalRedis(process, $"127.0.0.1:{port}");
            }
            catch (CommandException) when (attempt < Attempts)
            {
                // Somebody may have taken the port between the look and the start.
                await process.DisposeAsync();
            }
            catch
            {
                await process.DisposeAsync();
                throw;
            }
        }
    }

    /// <summary>Looks whether the server that was named is there: nodes would start without it, each alone, and wait for it.</summary>
    /// <param name="address">Null: none was named.</param>
    /// <exception cref="CommandException">The address cannot be meant, or nobody answers there.</exception>
    public static async Task CheckAsync(string? address, TimeProvider time, CancellationToken stopping)
    {
        if (address is null)
        {
            return;
        }

        if (!RedisLink.TryParse(address, out var error))
        {
            throw new CommandException(ExitCode.Usage, $"--redis cannot be used: {error}");
        }

        await using var link = new RedisLink(address, "kvmesh-up", time);
        using var limit = new CancellationTokenSource(CheckLimit, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, stopping);
        try
        {
            await link.CheckAsync(both.Token);
        }
        catch (StoreSilentException silence)
        {
            throw new CommandException(ExitCode.Failure, $"--redis: {link.Description} cannot be used: {silence.Message}", silence);
        }
        catch (OperationCanceledException) when (!stopping.IsCancellationRequested)
        {
            throw new CommandException(ExitCode.Failure, $"--redis: {link.Description} did not answer within {CheckLimit.TotalSeconds:0} s.");
        }
    }

    public ValueTask DisposeAsync() => _process.DisposeAsync();

    private static LocalProcess Start(string folder, int port, TextWriter log)
    {
        string[] arguments =
        [
            "-c", Script, "redis", "--port", port.ToString(CultureInfo.InvariantCulture), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
            "--loglevel", "warning", "--dir", folder,
        ];
        return LocalProcess.Start("redis", ("/bin/sh", arguments), new Dictionary<string, string>(), log);
    }

    private static bool IsInstalled() => (Environment.GetEnvironmentVariable("PATH") ?? "")
        .Split(Path.PathSeparator).Any(folder => folder.Length > 0 && File.Exists(Path.Combine(folder, "redis-server")));

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    /// <summary>Waits until it accepts connections, for half a minute at most.</summary>
    private static async Task AnswersAsync(int port, LocalProcess process, CancellationToken cancellationToken)
    {
        for (var i = 0; i < 600 && !process.Ended.IsCompleted; i++)
        {
            try
            {
                using var client = new TcpClient();
                await client.ConnectAsync(IPAddress.Loopback, port, cancellationToken);
                return;
            }
            catch (SocketException)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, cancellationToken);
            }
        }

        throw new CommandException(ExitCode.Failure, "redis-server does not start; its messages are above.");
    }
}
