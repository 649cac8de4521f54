using System.Globalization;

namespace KvMesh.LoadTest.Processes;

/// <summary>A redis-server without persistence, one I/O thread, which was the fastest setting at block sizes.</summary>
internal sealed class RedisProcess : ServerProcess
{
    private RedisProcess(int port, long maxMemoryBytes, string folder)
        : base("redis", "redis-server",
        [
            "--port", port.ToString(CultureInfo.InvariantCulture), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder,
            "--maxmemory", maxMemoryBytes.ToString(CultureInfo.InvariantCulture), "--maxmemory-policy", "allkeys-lru",
        ]) => Port = port;

    public int Port { get; }

    /// <param name="maxMemoryBytes">Above it the least recently used key goes; 0: no bound.</param>
    /// <param name="folder">Its working folder; nothing is written there.</param>
    public static RedisProcess Start(long maxMemoryBytes, string folder) => Begin(FreePort(), maxMemoryBytes, folder);

    /// <summary>One without data on the port of an earlier one, which has ended.</summary>
    public static RedisProcess StartAt(int port, string folder) => Begin(port, 0, folder);

    private static RedisProcess Begin(int port, long maxMemoryBytes, string folder)
    {
        var redis = new RedisProcess(port, maxMemoryBytes, folder);
        redis.DrainOutput();
        redis.WaitUntilListening(redis.Port);
        return redis;
    }
}

/// <summary>A memcached with two threads and room for items of 128 MiB.</summary>
internal sealed class MemcachedProcess : ServerProcess
{
    private MemcachedProcess(int port, long memoryBytes)
        : base("memcached", "memcached",
        [
            "-p", port.ToString(CultureInfo.InvariantCulture), "-l", "127.0.0.1", "-t", "2", "-I", "128m",
            "-m", (memoryBytes >> 20).ToString(CultureInfo.InvariantCulture), "-u", Environment.UserName,
        ]) => Port = port;

    public int Port { get; }

    public static MemcachedProcess Start(long memoryBytes)
    {
        var memcached = new MemcachedProcess(FreePort(), memoryBytes);
        memcached.DrainOutput();
        memcached.WaitUntilListening(memcached.Port);
        return memcached;
    }
}
