using KvMesh.Remote.Redis.Coordination;
using KvMesh.TestKit.Coordination;
using StackExchange.Redis;

namespace KvMesh.Remote.Tests.Redis;

/// <summary>One redis-server for the tests of a class; each test has a cluster of its own in it.</summary>
public sealed class RedisFixture : IAsyncLifetime
{
    private ConnectionMultiplexer? _direct;

    public RestartableRedis Server { get; private set; } = null!;

    public async Task InitializeAsync() => Server = await RestartableRedis.StartAsync();

    public async Task DisposeAsync()
    {
        if (_direct is not null)
        {
            // Waiting for the commands on their way would be waiting for that long a time.
            await _direct.CloseAsync(allowCommandsToComplete: false);
            _direct.Dispose();
        }

        await Server.DisposeAsync();
    }

    /// <summary>A link whose client outwaits a busy machine, however long this process or the server gets no time.</summary>
    public RedisLink Connect() => new($"{Server.Address},syncTimeout=120000", "test", TimeProvider.System);

    /// <summary>As patient a connection, of all tests together, for the test itself.</summary>
    public async Task<ConnectionMultiplexer> ConnectDirectlyAsync() =>
        _direct ??= await ConnectionMultiplexer.ConnectAsync($"{Server.Address},allowAdmin=true,abortConnect=false,syncTimeout=120000");
}
