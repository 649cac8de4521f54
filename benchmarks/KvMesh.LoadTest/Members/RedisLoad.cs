using System.Collections.Immutable;
using System.Globalization;
using StackExchange.Redis;

namespace KvMesh.LoadTest.Members;

/// <summary>Counters of a redis-server and of this process, or what they grew by.</summary>
internal readonly record struct RedisLoad(double Cores, double OwnCores, double Scripts, double BytesIn, double BytesOut)
{
    public static RedisLoad operator -(RedisLoad after, RedisLoad before) => new(
        after.Cores - before.Cores, after.OwnCores - before.OwnCores, after.Scripts - before.Scripts, after.BytesIn - before.BytesIn, after.BytesOut - before.BytesOut);

    public static RedisLoad operator /(RedisLoad load, double seconds) =>
        new(load.Cores / seconds, load.OwnCores / seconds, load.Scripts / seconds, load.BytesIn / seconds, load.BytesOut / seconds);

    public static async Task<RedisLoad> ReadAsync(int port)
    {
        await using var link = new AsyncMultiplexer(await ConnectionMultiplexer.ConnectAsync($"127.0.0.1:{port},syncTimeout=60000,allowAdmin=true").ConfigureAwait(false));
        var text = (string?)await link.Multiplexer.GetDatabase().ExecuteAsync("INFO", "all").ConfigureAwait(false) ?? "";
        var fields = text.Split('\n').Select(line => line.Trim().Split(':', 2)).Where(pair => pair.Length == 2).GroupBy(pair => pair[0])
            .ToImmutableDictionary(group => group.Key, group => group.First()[1]);
        var calls = fields.GetValueOrDefault("cmdstat_evalsha", "calls=0,").Split('=', ',')[1];
        return new RedisLoad(
            Field("used_cpu_user") + Field("used_cpu_sys"), Environment.CpuUsage.TotalTime.TotalSeconds, double.Parse(calls, CultureInfo.InvariantCulture),
            Field("total_net_input_bytes"), Field("total_net_output_bytes"));

        double Field(string name) => double.Parse(fields[name], CultureInfo.InvariantCulture);
    }

    private sealed class AsyncMultiplexer(ConnectionMultiplexer multiplexer) : IAsyncDisposable
    {
        public ConnectionMultiplexer Multiplexer => multiplexer;

        public async ValueTask DisposeAsync()
        {
            await multiplexer.CloseAsync().ConfigureAwait(false);
            multiplexer.Dispose();
        }
    }
}
