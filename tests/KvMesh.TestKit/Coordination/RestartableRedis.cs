namespace KvMesh.TestKit.Coordination;

/// <summary>A real redis-server that a test may stop, kill and start again on the same port, with its data or without them.</summary>
public sealed class RestartableRedis : IAsyncDisposable
{
    private const int Attempts = 5;

    private readonly TemporaryDirectory _directory = new();
    private readonly string[] _program;
    private readonly string _host;
    private readonly string[] _further;
    private ChildProcess? _process;

    private RestartableRedis(string[] program, string host, string[] further)
    {
        _program = [.. program, "redis-server"];
        _host = host;
        _further = further;
    }

    public int Port { get; private set; }

    public string Address => $"{_host}:{Port}";

    /// <param name="further">Options of the server beside those that every test needs.</param>
    public static Task<RestartableRedis> StartAsync(params string[] further) => StartAsync([], "127.0.0.1", further);

    /// <inheritdoc cref="StartAsync(string[])"/>
    /// <param name="program">Command behind which the server runs.</param>
    /// <param name="host">IP address where it listens.</param>
    public static async Task<RestartableRedis> StartAsync(string[] program, string host, params string[] further)
    {
        var redis = new RestartableRedis(program, host, further);
        for (var attempt = 1; ; attempt++)
        {
            redis.Port = FreePort.Next();
            try
            {
                await redis.BeginAsync();
                return redis;
            }
            catch (TimeoutException failure) when (failure.Message.Contains("Address already in use", StringComparison.Ordinal) && attempt < Attempts)
            {
                await redis.KillAsync();
            }
            catch
            {
                await redis.DisposeAsync();
                throw;
            }
        }
    }

    /// <summary>Starts it again after <see cref="KillAsync"/>.</summary>
    public async Task RestartAsync(bool keepsData)
    {
        if (!keepsData)
        {
            foreach (var folder in Directory.GetDirectories(_directory.Path))
            {
                Directory.Delete(folder, recursive: true);
            }
        }

        await BeginAsync();
    }

    /// <summary>Kill -9.</summary>
    public async Task KillAsync()
    {
        if (_process is not null)
        {
            await _process.DisposeAsync();
            _process = null;
        }
    }

    /// <summary>STOP or CONT.</summary>
    public Task SignalAsync(string signal) => _process!.SignalAsync(signal);

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        _directory.Dispose();
    }

    private async Task BeginAsync()
    {
        string[] arguments =
            ["--port", $"{Port}", "--bind", _host, "--protected-mode", "no", "--save", "", "--appendonly", "yes", "--appendfsync", "always", "--databases", "1", "--dir", _directory.Path, .. _further];
        _process = ChildProcess.Start(_program[0], [.. _program[1..], .. arguments]);
        await _process.WaitForLineAsync(line => line.Contains("eady to accept connections", StringComparison.Ordinal), "ready line", Eventually.Patience);
    }
}
