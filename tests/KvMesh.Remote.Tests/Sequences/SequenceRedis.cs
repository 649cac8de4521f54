using KvMesh.Remote.Redis.Sequences;
using KvMesh.TestKit;
using StackExchange.Redis;

namespace KvMesh.Remote.Tests.Sequences;

/// <summary>A redis-server that keeps its data on disk, dies and comes back on its port; and a connection to it.</summary>
public sealed class SequenceRedis : IAsyncLifetime, IAsyncDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly int _port = FreePort.Next();
    private ChildProcess? _process;

    public int Port => _port;

    /// <summary>For the test itself.</summary>
    public ConnectionMultiplexer Connection { get; private set; } = null!;

    public RedisSequenceConnection Sequences { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        await StartAsync();
        Connection = await ConnectAsync();

        // The deadlines of the stores decide, and not the client's own, which is five seconds.
        Sequences = new RedisSequenceConnection($"127.0.0.1:{_port},syncTimeout=120000", "test", TimeProvider.System);
    }

    public async Task StartAsync()
    {
        _process = ChildProcess.Start(
            "redis-server",
            ["--port", $"{_port}", "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "always", "--dir", _directory.Path]);
        await _process.WaitForLineAsync(line => line.Contains("eady to accept connections", StringComparison.Ordinal), "ready line of redis-server", Eventually.Patience);
    }

    public async Task KillAsync() => await _process!.DisposeAsync();

    public Task SignalAsync(string signal) => _process!.SignalAsync(signal);

    private async Task<ConnectionMultiplexer> ConnectAsync()
    {
        var configuration = new ConfigurationOptions { AbortOnConnectFail = false, ConnectTimeout = 60_000, SyncTimeout = 60_000, AllowAdmin = true };
        configuration.EndPoints.Add("127.0.0.1", _port);
        return await ConnectionMultiplexer.ConnectAsync(configuration);
    }

    /// <summary>A figure of INFO.</summary>
    public async Task<long> FigureAsync(string section, string name)
    {
        var text = (string?)await Connection.GetDatabase().ExecuteAsync("INFO", section) ?? "";
        var line = text.Split('\n').First(line => line.StartsWith(name + ":", StringComparison.Ordinal));
        return long.Parse(line[(name.Length + 1)..].Trim(), System.Globalization.CultureInfo.InvariantCulture);
    }

    public async Task DisposeAsync()
    {
        await Sequences.DisposeAsync();
        Connection.Dispose();
        await KillAsync();
        _directory.Dispose();
    }

    ValueTask IAsyncDisposable.DisposeAsync() => new(DisposeAsync());
}
