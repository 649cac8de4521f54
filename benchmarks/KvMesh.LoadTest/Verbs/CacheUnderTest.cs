using KvMesh.LoadTest.Clients;
using KvMesh.LoadTest.Measuring;

namespace KvMesh.LoadTest.Verbs;

/// <summary>One running cache, driven over a socket by the client that drives all of them.</summary>
internal sealed class CacheUnderTest(string name, int processId, int port, ICacheDialect dialect)
{
    private const int FillPasses = 5;

    private long _nextFresh = 1_000_000_000;
    private long _refused;

    public string Name => name;

    /// <summary>Values that the cache had no room for, which count for nothing.</summary>
    public long Refused => Interlocked.Read(ref _refused);

    /// <summary>Removes every key.</summary>
    public void Flush()
    {
        using var connection = new CacheConnection(port, dialect, BenchKey.Opaque, 64, 1);
        connection.Flush();
    }

    /// <summary>
    /// Stores keys 0 to <see cref="CacheTask.Keys"/> - 1, and those again that a cache has let go while the last were stored: what was
    /// flushed may still take room for a while.
    /// </summary>
    public void Fill(CacheTask task)
    {
        using var connection = Connect(task);
        var numbers = new long[task.Depth];
        for (var first = 0L; first < task.Keys; first += task.Depth)
        {
            Number(numbers, task.Depth, i => first + i);
            _ = connection.TrySet(numbers);
        }

        for (var pass = 0; pass < FillPasses && task.Depth == 1 && RefillMissing(connection, task.Keys) > 0; pass++)
        {
        }
    }

    /// <summary>Reads keys at random; all of them are there.</summary>
    public Sample Get(CacheTask task, RunSettings settings) => Drive(task, settings, long.MaxValue, (connection, numbers, random) =>
    {
        Number(numbers, task.Depth, _ => random.NextInt64(task.Keys));
        if (!connection.TryGet(numbers))
        {
            throw new LoadTestException($"{name} does not have key {numbers[0]}, which was stored before.");
        }

        return true;
    });

    /// <summary>Stores keys that were never there, at most <paramref name="byteBudget"/> bytes of them.</summary>
    public Sample SetFresh(CacheTask task, RunSettings settings, long byteBudget) => Drive(task, settings, byteBudget, (connection, numbers, _) =>
    {
        var first = Interlocked.Add(ref _nextFresh, task.Depth) - task.Depth;
        Number(numbers, task.Depth, i => first + i);
        return connection.TrySet(numbers);
    });

    /// <summary>Stores keys that are there already.</summary>
    public Sample SetExisting(CacheTask task, RunSettings settings) => Drive(task, settings, long.MaxValue, (connection, numbers, random) =>
    {
        Number(numbers, task.Depth, _ => random.NextInt64(task.Keys));
        return connection.TrySet(numbers);
    });

    private static void Number(long[] numbers, int depth, Func<int, long> number)
    {
        for (var i = 0; i < depth; i++)
        {
            numbers[i] = number(i);
        }
    }

    private static int RefillMissing(CacheConnection connection, int keys)
    {
        var missing = 0;
        for (var number = 0L; number < keys; number++)
        {
            if (!connection.TryGet([number]))
            {
                _ = connection.TrySet([number]);
                missing++;
            }
        }

        return missing;
    }

    private CacheConnection Connect(CacheTask task) => new(port, dialect, task.Key, task.ValueBytes, task.Depth);

    private Sample Drive(CacheTask task, RunSettings settings, long byteBudget, Func<CacheConnection, long[], Random, bool> step)
    {
        CacheConnection[] connections = [.. Enumerable.Range(0, task.Connections).Select(_ => Connect(task))];
        try
        {
            return Workers.Run(task.Connections, processId, () => new RunWindow(settings.Time, byteBudget), (tally, window) =>
            {
                var random = new Random(tally.Index + 1);
                var numbers = new long[task.Depth];
                var bytes = (long)task.ValueBytes * task.Depth;
                while (window.TryBegin(bytes))
                {
                    var begin = System.Diagnostics.Stopwatch.GetTimestamp();
                    if (step(connections[tally.Index], numbers, random))
                    {
                        tally.Count(task.Depth, bytes, System.Diagnostics.Stopwatch.GetTimestamp() - begin);
                    }
                    else
                    {
                        Interlocked.Increment(ref _refused);
                    }
                }
            });
        }
        finally
        {
            Array.ForEach(connections, connection => connection.Dispose());
        }
    }
}

/// <summary>What the client does with values of one size.</summary>
/// <param name="Keys">Keys of the set that is read or overwritten.</param>
/// <param name="Depth">Commands in flight on a connection.</param>
internal sealed record CacheTask(int ValueBytes, int Keys, int Depth, int Connections, BenchKey Key)
{
    /// <summary>The sets of the published comparison: 512 MiB of small, 1 GiB of large values.</summary>
    public static CacheTask Of(int valueBytes, int connections, BenchKey key) => valueBytes switch
    {
        <= 1024 => new CacheTask(valueBytes, 99_840, 16, connections, key),
        <= 65536 => new CacheTask(valueBytes, 8192, 1, connections, key),
        _ => new CacheTask(valueBytes, (int)((1L << 30) / valueBytes), 1, connections, key),
    };

    public string Size => ValueBytes switch
    {
        >= 1 << 20 => $"{ValueBytes >> 20} MiB",
        >= 1 << 10 => $"{ValueBytes >> 10} KiB",
        _ => $"{ValueBytes} B",
    };

    public string Describe(string operation) =>
        $"{operation} {Size}{(Depth > 1 ? $", pipeline {Depth}" : "")}, {Connections} connections";
}
