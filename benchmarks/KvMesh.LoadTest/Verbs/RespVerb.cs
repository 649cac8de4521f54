using System.CommandLine;
using KvMesh.LoadTest.Clients;
using KvMesh.LoadTest.Measuring;
using KvMesh.LoadTest.Processes;
using KvMesh.LoadTest.Reporting;

namespace KvMesh.LoadTest.Verbs;

/// <summary>KvMesh over RESP beside redis-server and memcached: the same client, sizes and keys, in turns.</summary>
internal sealed class RespVerb : IDisposable
{
    private const long StoreBytes = 3L << 30;
    private const long SmallStoreBytes = 1L << 30;
    private const long FreshBytes = 2L << 30;

    private static readonly int[] Sizes = [28, 64 << 10, 1 << 20, 4 << 20, 16 << 20];

    private readonly RunSettings _settings;
    private readonly int _connections;
    private readonly TemporaryFolder _folder = new();
    private readonly List<IDisposable> _owned = [];
    private readonly Report _report;
    private readonly bool _withNode;

    private RespVerb(string verb, RunSettings settings, int connections, bool withNode)
    {
        _settings = settings;
        _connections = connections;
        _withNode = withNode;
        _report = new Report(
            verb,
            "Closed loop, one blocking socket and one thread a connection, buffers fixed, payload walking 64 MiB a connection; servers are processes of "
            + "their own on the same machine and take turns. Ratios are to redis, run by run, unless a row says otherwise.");
    }

    public static Command Create() => Create("resp", "KvMesh over RESP beside redis and memcached, every kind of SET.", everyRow: true);

    public static Command CreatePeers() => Create("peers", "GET and SET of KvMesh, redis and memcached, side by side.", everyRow: false);

    public void Dispose()
    {
        _owned.ForEach(owned => owned.Dispose());
        _folder.Dispose();
    }

    private static Command Create(string name, string description, bool everyRow)
    {
        var connections = new Option<int>("--connections") { DefaultValueFactory = _ => 2 };
        var sizes = new Option<int[]>("--sizes") { Description = "Value sizes in bytes.", DefaultValueFactory = _ => Sizes, AllowMultipleArgumentsPerToken = true };
        var withoutNode = new Option<bool>("--without-node") { Description = "Measures the peers alone." };
        return RunOptions.Verb(name, description, 0.5, Configure, (parse, settings) =>
        {
            using var verb = new RespVerb(name, settings, parse.GetValue(connections), !parse.GetValue(withoutNode));
            verb.Run(parse.GetValue(sizes)!, everyRow);
            return verb._report;
        });

        void Configure(Command command)
        {
            command.Add(connections);
            command.Add(sizes);
            command.Add(withoutNode);
        }
    }

    private void Run(int[] sizes, bool everyRow)
    {
        var roomy = StartAll(StoreBytes, redisBytes: 0);
        foreach (var size in sizes)
        {
            var task = CacheTask.Of(size, _connections, BenchKey.Opaque);
            Compare(task, "GET", roomy, cache => { cache.Flush(); cache.Fill(task); }, cache => cache.Get(task, _settings));
            Compare(task, "SET fresh keys", roomy, cache => cache.Flush(), cache => SetFresh(cache, task));
            if (everyRow)
            {
                Compare(task, "SET overwrites", roomy, cache => { cache.Flush(); cache.Fill(task); }, cache => cache.SetExisting(task, _settings));
                var chunks = CacheTask.Of(size, _connections, BenchKey.Chunk);
                Compare(task, "SET duplicates", roomy, cache => { cache.Flush(); cache.Fill(chunks); }, cache => cache.SetExisting(chunks, _settings));
            }
        }

        if (everyRow)
        {
            StopAll();
            var small = StartAll(SmallStoreBytes, SmallStoreBytes);
            foreach (var task in sizes.Where(size => size > 1024).Select(size => CacheTask.Of(size, _connections, BenchKey.Opaque)))
            {
                var filling = _settings with { Time = TimeSpan.FromMinutes(2) };
                Compare(task, "SET fresh keys, evicting", small,
                    cache => cache.SetFresh(task, filling, SmallStoreBytes * 5 / 4), cache => cache.SetFresh(task, _settings, long.MaxValue));
            }

            StopAll();
            foreach (var task in new[] { 1 << 20, 4 << 20 }.Intersect(sizes).Select(size => CacheTask.Of(size, _connections, BenchKey.Opaque)))
            {
                CompareCold(task);
            }
        }
    }

    /// <summary>Fresh keys into pages that the server has not used yet: each run has a server of its own.</summary>
    private void CompareCold(CacheTask task)
    {
        string[] names = _withNode ? ["redis", "memcached", "kvmesh"] : ["redis", "memcached"];
        Contender[] contenders =
        [
            .. names.Select(name => new Contender(name, () =>
            {
                var cache = StartAll(StoreBytes, redisBytes: 0, only: name)[0];
                var untilFull = _settings with { Time = TimeSpan.FromSeconds(30) };

                // The first requests of a process compile and connect; they are not what a cold page costs.
                _ = cache.SetFresh(task, untilFull, SmallStoreBytes / 8);
                var sample = cache.SetFresh(task, untilFull, SmallStoreBytes);
                StopAll();
                return sample;
            })),
        ];
        RunSettings.Progress(task.Describe("SET fresh keys, cold pages"));
        Publish(task, "SET fresh keys, cold pages", PairedRuns.Measure(contenders, _settings, warmUp: false));
    }

    private Sample SetFresh(CacheUnderTest cache, CacheTask task)
    {
        cache.Flush();
        return cache.SetFresh(task, _settings, FreshBytes);
    }

    private void Compare(
        CacheTask task, string operation, IReadOnlyList<CacheUnderTest> caches, Action<CacheUnderTest> prepare, Func<CacheUnderTest, Sample> run)
    {
        RunSettings.Progress(task.Describe(operation));
        foreach (var cache in caches)
        {
            prepare(cache);
        }

        var refusedBefore = caches.Select(cache => cache.Refused).ToArray();
        var series = PairedRuns.Measure([.. caches.Select(cache => new Contender(cache.Name, () => run(cache)))], _settings);
        Publish(task, operation, series);
        foreach (var (cache, before) in caches.Zip(refusedBefore).Where(pair => pair.First.Refused > pair.Second))
        {
            _report.Note($"{task.Describe(operation)}: {cache.Name} refused {cache.Refused - before} values, for want of room; they do not count.");
        }
    }

    private void Publish(CacheTask task, string operation, IReadOnlyList<Series> series)
    {
        var what = task.Describe(operation);
        double? TargetOf(Series contender) => contender.Name == "kvmesh" ? RespTargets.AgainstRedis(operation, task.ValueBytes) : null;
        if (task.Depth > 1)
        {
            _report.AddRate(what, series, TargetOf);
        }
        else
        {
            _report.AddThroughput(what, series, TargetOf);
        }

        if (_withNode && RespTargets.AgainstMemcached(operation, task.ValueBytes) is { } target)
        {
            _report.AddRatio($"{what}: kvmesh ÷ memcached", series[2], series[1], target);
        }
    }

    private List<CacheUnderTest> StartAll(long storeBytes, long redisBytes, string? only = null)
    {
        var caches = new List<CacheUnderTest>();
        if (only is null or "redis")
        {
            var redis = Own(RedisProcess.Start(redisBytes, _folder.Path));
            caches.Add(new CacheUnderTest("redis", redis.ProcessId, redis.Port, new RespDialect()));
        }

        if (only is null or "memcached")
        {
            var memcached = Own(MemcachedProcess.Start(storeBytes));
            caches.Add(new CacheUnderTest("memcached", memcached.ProcessId, memcached.Port, new MemcachedDialect()));
        }

        if (_withNode && only is null or "kvmesh")
        {
            var data = Directory.CreateDirectory(Path.Combine(_folder.Path, Guid.NewGuid().ToString("n"))).FullName;
            var node = Own(KvMeshProcess.Start(new KvMeshSettings { DataDirectory = data, ArenaBytes = storeBytes }));
            if (only is null)
            {
                node.AwaitBackedArena();
            }

            caches.Add(new CacheUnderTest("kvmesh", node.ProcessId, node.RespPort, new RespDialect()));
        }

        return caches;
    }

    private T Own<T>(T owned)
        where T : IDisposable
    {
        _owned.Add(owned);
        return owned;
    }

    private void StopAll()
    {
        _owned.ForEach(owned => owned.Dispose());
        _owned.Clear();
    }
}

/// <summary>The ratios that KvMesh is to reach over RESP.</summary>
internal static class RespTargets
{
    public static double? AgainstRedis(string operation, int valueBytes) => (operation, valueBytes) switch
    {
        ("GET", 28) => 1,
        ("GET", 1 << 20 or 4 << 20) => 1.3,
        ("GET", 16 << 20) => 3.5,
        ("SET fresh keys", 28) => 1,
        ("SET fresh keys", 1 << 20 or 4 << 20) => 1,
        ("SET fresh keys", 16 << 20) => 2.5,
        _ => null,
    };

    public static double? AgainstMemcached(string operation, int valueBytes) => (operation, valueBytes) switch
    {
        ("GET", 1 << 20 or 4 << 20) => 0.9,
        ("GET", 16 << 20) => 1.5,
        _ => null,
    };
}
