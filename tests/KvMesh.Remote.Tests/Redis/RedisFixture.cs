using KvMesh.Remote.Redis.Coordination;
using KvMesh.TestKit.Coordination;

namespace KvMesh.Remote.Tests.Redis;

/// <summary>One redis-server for the tests of a class; each test has a cluster of its own in it.</summary>
public sealed class RedisFixture : IAsyncLifetime
{
    public RestartableRedis Server { get; private set; } = null!;

    public async Task InitializeAsync() => Server = await RestartableRedis.StartAsync();

    public async Task DisposeAsync() => await Server.DisposeAsync();

    public RedisLink Connect() => new(Server.Address, "test", TimeProvider.System);
}
