using KvMesh.Remote.Redis.Sequences;
using KvMesh.TestKit.Coordination;
using StackExchange.Redis;

namespace KvMesh.Remote.Tests.Sequences;

/// <summary>A redis-server that keeps its data on disk, dies and comes back on its port; and a connection to it.</summary>
public sealed class SequenceRedis : IAsyncLifetime, IAsyncDisposable
{
    private RestartableRedis _redis = null!;

    public int Port => _redis.Port;

    /// <summary>For the test itself.</summary>
    public ConnectionMultiplexer Connection { get; private set; } = null!;

    public RedisSequenceConnection Sequences { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        _redis = await RestartableRedis.StartAsync();
        Connection = await ConnectAsync();

        // The deadlines of the stores decide, and not the client's own, which is five seconds.
        Sequences = new RedisSequenceConnection($"{_redis.Address},syncTimeout=120000", "test", TimeProvider.System);
    }

    /// <summary>Again, with its data, after <see cref="KillAsync"/>.</summary>
    public Task StartAsync() => _redis.RestartAsync(keepsData: true);

    public Task KillAsync() => _redis.KillAsync();

    public Task SignalAsync(string signal) => _redis.SignalAsync(signal);

    private async Task<ConnectionMultiplexer> ConnectAsync()
    {
        var configuration = new ConfigurationOptions { AbortOnConnectFail = false, ConnectTimeout = 60_000, SyncTimeout = 60_000, AllowAdmin = true };
        configuration.EndPoints.Add("127.0.0.1", Port);
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
        await _redis.DisposeAsync();
    }

    ValueTask IAsyncDisposable.DisposeAsync() => new(DisposeAsync());
}
