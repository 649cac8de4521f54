using KvMesh.TestKit;
using StackExchange.Redis;

namespace KvMesh.System.Tests;

/// <summary>The tools that come with Redis and the .NET library, as they are.</summary>
[Trait("Category", "System")]
public sealed class RedisToolTests : IAsyncLifetime, IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);
    private readonly NodeFolders _folders = new();
    private NodeProcess _node = null!;

    public async Task InitializeAsync() => _node = await NodeProcess.StartAsync(_folders, "--arena", "256MiB");

    public async Task DisposeAsync() => await _node.DisposeAsync();

    public void Dispose() => _folders.Dispose();

    [Fact]
    public async Task Redis_cli_sets_gets_counts_and_expires()
    {
        Assert.Equal("PONG", await CliAsync("ping"));
        Assert.Equal("OK", await CliAsync("set", "k", "value"));
        Assert.Equal("value", await CliAsync("get", "k"));
        Assert.Equal("1", await CliAsync("exists", "k"));
        Assert.Equal("1", await CliAsync("expire", "k", "10000"));
        Assert.InRange(int.Parse(await CliAsync("ttl", "k"), null), 9000, 10_000);
        Assert.Equal("1", await CliAsync("del", "k"));
        Assert.Equal("", await CliAsync("get", "k"));
        Assert.Contains("role:master", await CliAsync("info", "replication"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("-2")]
    [InlineData("-3")]
    public async Task Redis_cli_speaks_both_protocol_versions(string version)
    {
        Assert.Equal("OK", await CliAsync(version, "set", "p", "q"));
        Assert.Equal("q", await CliAsync(version, "get", "p"));
        Assert.Equal("", await CliAsync(version, "get", "nothing"));
    }

    [Fact]
    public async Task Redis_benchmark_runs_with_pipelines_and_large_values()
    {
        var small = await ChildProcess.RunAsync(
            "redis-benchmark", ["-p", $"{_node.Addresses.RespPort}", "-t", "set,get", "-n", "20000", "-d", "28", "-P", "16", "-r", "1000", "-q"], Limit);
        var large = await ChildProcess.RunAsync(
            "redis-benchmark", ["-p", $"{_node.Addresses.RespPort}", "-t", "set,get", "-n", "400", "-d", "1048576", "-c", "4", "-r", "100", "-q"], Limit);

        Assert.Equal((0, 0), (small.ExitCode, large.ExitCode));
        Assert.Contains("requests per second", small.Output + large.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task StackExchange_Redis_works_unmodified()
    {
        using var redis = await ConnectionMultiplexer.ConnectAsync($"127.0.0.1:{_node.Addresses.RespPort},connectTimeout=120000,syncTimeout=120000");
        var database = redis.GetDatabase();
        var values = Enumerable.Range(0, 50).Select(i => TestBytes.Payload(i, 1 + (i * 20_011))).ToArray();

        await Task.WhenAll(values.Select((value, i) => database.StringSetAsync($"key:{i}", value)));
        var read = await Task.WhenAll(values.Select((_, i) => database.StringGetAsync($"key:{i}")));

        Assert.All(values.Zip(read), pair => Assert.True(pair.First.AsSpan().SequenceEqual((byte[])pair.Second!), "a value came back changed"));
        Assert.True(await database.KeyExistsAsync("key:7"));
        Assert.True(await database.KeyExpireAsync("key:7", TimeSpan.FromMinutes(50)));
        Assert.InRange((await database.KeyTimeToLiveAsync("key:7"))!.Value.TotalSeconds, 2500, 3000);
        Assert.True(await database.KeyDeleteAsync("key:7"));
        Assert.True((await database.StringGetAsync("key:7")).IsNull);
        Assert.False(await database.StringSetAsync("key:8", "x", null, When.NotExists));
        Assert.Equal(values[9], (byte[]?)await database.StringGetSetAsync("key:9", "y"));
    }

    private async Task<string> CliAsync(params string[] arguments)
    {
        var (exitCode, output, error) = await ChildProcess.RunAsync("redis-cli", ["-p", $"{_node.Addresses.RespPort}", .. arguments], Limit);
        Assert.True(exitCode == 0, $"redis-cli {string.Join(' ', arguments)}: {output} {error}");
        return output.Trim();
    }
}
