using System.CommandLine;
using System.Diagnostics;
using KvMesh.Client;
using KvMesh.LoadTest.Clients;
using KvMesh.LoadTest.Measuring;
using KvMesh.LoadTest.Processes;
using KvMesh.LoadTest.Reporting;
using KvMesh.Protocol;

namespace KvMesh.LoadTest.Verbs;

/// <summary>Several nodes on this machine as one cache: what they give together, and what a block costs that another node holds.</summary>
internal static class MeshVerb
{
    private const int Nodes = 3;
    private const long ArenaBytes = 512L << 20;
    private const long SetBytes = 256L << 20;

    /// <summary>Longest time until one node knows what another has.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    public static Command Create()
    {
        var size = new Option<int>("--size") { Description = "Payload bytes.", DefaultValueFactory = _ => 4 << 20 };
        return RunOptions.Verb("mesh", "Three nodes and a redis-server on this machine as one cache.", 1, command => command.Add(size), (parse, settings) =>
            new Mesh(settings, parse.GetValue(size)).Run());
    }

    private sealed class Mesh(RunSettings settings, int size)
    {
        private readonly Report _report = new(
            "mesh",
            $"{Nodes} nodes and a redis-server on one machine, native protocol over TCP, payload {size} bytes, one connection and one request in flight a "
            + "node. The bare loop has as many connections to one process. What is read on another node was put a moment before, and is read "
            + "once, as soon as that node says that it is there; only the get is in the figures. From a put to a hit is all of it, begun with the put, while the other node is "
            + "asked again and again; Redis is sent no checksums and checks none. Core-seconds leave the nodes out.");

        private long _number;

        public Report Run()
        {
            using var folder = new TemporaryFolder();
            using var redis = RedisProcess.Start(0, folder.Path);
            NodeUnderTest[] nodes = [];
            using var single = new NodeUnderTest(Settings("", ""));
            try
            {
                nodes = [.. Enumerable.Range(0, Nodes).Select(index => new NodeUnderTest(Settings($"127.0.0.1:{redis.Port}", $"node-{index}")))];
                Measure(nodes, single, redis);
            }
            finally
            {
                Array.ForEach(nodes, node => node.Dispose());
            }

            return _report;
        }

        private static KvMeshSettings Settings(string redis, string name) =>
            new() { DataDirectory = "", ArenaBytes = ArenaBytes, MeshRedis = redis, MeshNode = name };

        private void Measure(NodeUnderTest[] nodes, NodeUnderTest single, RedisProcess redis)
        {
            KvMeshClient[] clients = [.. nodes.Select(Connect)];
            var alone = Connect(single);
            AwaitMesh(clients);
            foreach (var client in clients.Append(alone))
            {
                NodeUnderTest.Fill(client, SetBytes / size, size);
            }

            using var loop = LoopProcess.Start(null, "");
            for (var count = 1; count <= Nodes; count++)
            {
                RunSettings.Progress($"get, {count} nodes");
                var callers = count;
                Contender[] gets =
                [
                    new("bare loop, checksummed", () => BareLoop.Drive(loop, callers, size, settings, "", connection => connection.Get(size, serverChecksums: false, clientChecksums: true))),
                    new("kvmesh", () => Drive(clients[..callers], (worker, tally, window) => worker.GetAsync(SetBytes / size, tally, window))),
                ];
                _report.AddThroughput($"get of blocks that are there, {count} nodes", PairedRuns.Measure(gets, settings));
            }

            RunSettings.Progress("put on one, get on another");
            Contender[] first =
            [
                new("the node that has it", () => Once(tally => PutAndGetAsync(clients[0], clients[0], tally))),
                new("another node", () => Once(tally => PutAndGetAsync(clients[0], clients[1], tally))),
            ];
            _report.AddRate("first get of a block after its put", PairedRuns.Measure(first, settings));
            RunSettings.Progress("from a put to a hit elsewhere");
            using var setter = new CacheConnection(redis.Port, new RespDialect(), BenchKey.Opaque, size, depth: 1);
            using var getter = new CacheConnection(redis.Port, new RespDialect(), BenchKey.Opaque, size, depth: 1);
            Contender[] visible =
            [
                new("redis SET, GET over another connection", () => Once(tally => SetAndGet(setter, getter, tally))),
                new("put and get, one node", () => Once(tally => PutUntilHitAsync(clients[0], clients[0], tally))),
                new("put, hit on another node", () => Once(tally => PutUntilHitAsync(clients[0], clients[1], tally))),
            ];
            _report.AddRate("from the begin of a put to the end of a hit", PairedRuns.Measure(visible, settings));
            Contender[] misses =
            [
                new("a node of its own", () => Once(tally => MissAsync(alone, tally))),
                new("a node of the mesh", () => Once(tally => MissAsync(clients[1], tally))),
            ];
            _report.AddRate("get of a block that nobody has", PairedRuns.Measure(misses, settings));
        }

        private static KvMeshClient Connect(NodeUnderTest node) => node.Connect(
            new ClientOptions { Endpoint = node.TcpEndpoint, Connections = 1, AllowSharedMemory = false, BlockingCalls = true });

        private Sample Drive(KvMeshClient[] clients, Func<NativeWorker, WorkerTally, RunWindow, Task> work)
        {
            NativeWorker[] workers = [.. clients.Select((client, seed) => new NativeWorker(client, size, seed))];
            return Workers.RunAsync(clients.Length, 0, () => new RunWindow(settings.Time), (tally, window) => work(workers[tally.Index], tally, window));
        }

        private Sample Once(Func<WorkerTally, Task> step) => Workers.RunAsync(1, 0, () => new RunWindow(settings.Time), async (tally, window) =>
        {
            while (window.TryBegin(size))
            {
                await step(tally).ConfigureAwait(false);
            }
        });

        /// <summary>The mesh has formed when the last node sees what the first one has.</summary>
        private void AwaitMesh(KvMeshClient[] clients)
        {
            RunSettings.Progress("waiting for the mesh");
            var tally = new WorkerTally(0);
            foreach (var client in clients[1..])
            {
                Task.Run(() => PutAndGetAsync(clients[0], client, tally)).GetAwaiter().GetResult();
            }
        }

        private async Task PutAndGetAsync(KvMeshClient writer, KvMeshClient reader, WorkerTally tally)
        {
            var number = BenchBlocks.NextFresh();
            var hash = new byte[Limits.ChainHashBytes];
            BenchBlocks.WriteHash(hash, number);
            var payload = new byte[size];
            BenchBlocks.Sign(payload, number);
            await writer.PutAsync(BenchBlocks.Scope, hash, ReadOnlyMemory<byte>.Empty, payload, CancellationToken.None).ConfigureAwait(false);
            var present = new bool[1];
            var startedAt = Stopwatch.GetTimestamp();
            while (await reader.ExistsAsync(BenchBlocks.Scope, hash, present, CancellationToken.None).ConfigureAwait(false) == 0)
            {
                if (Stopwatch.GetElapsedTime(startedAt) > Patience)
                {
                    throw new LoadTestException($"A node did not learn of a block of another one within {Patience.TotalSeconds} s.");
                }
            }

            var begin = Stopwatch.GetTimestamp();
            var result = await reader.GetAsync(BenchBlocks.Scope, hash, payload, CancellationToken.None).ConfigureAwait(false);
            tally.Count(1, size, Stopwatch.GetTimestamp() - begin);
            if (!result.IsHit)
            {
                throw new LoadTestException($"Reading block {number} ended with {result.Status}; another node has it.");
            }

            BenchBlocks.Check(payload, number);
        }

        /// <summary>From the begin of the put until the reader has the block, which asks for nothing else meanwhile.</summary>
        private async Task PutUntilHitAsync(KvMeshClient writer, KvMeshClient reader, WorkerTally tally)
        {
            var number = BenchBlocks.NextFresh();
            var hash = new byte[Limits.ChainHashBytes];
            BenchBlocks.WriteHash(hash, number);
            var payload = new byte[size];
            BenchBlocks.Sign(payload, number);
            var begin = Stopwatch.GetTimestamp();
            await writer.PutAsync(BenchBlocks.Scope, hash, ReadOnlyMemory<byte>.Empty, payload, CancellationToken.None).ConfigureAwait(false);
            while (!(await reader.GetAsync(BenchBlocks.Scope, hash, payload, CancellationToken.None).ConfigureAwait(false)).IsHit)
            {
                if (Stopwatch.GetElapsedTime(begin) > Patience)
                {
                    throw new LoadTestException($"A block was not read on another node within {Patience.TotalSeconds} s of its put.");
                }
            }

            tally.Count(1, size, Stopwatch.GetTimestamp() - begin);
            BenchBlocks.Check(payload, number);
        }

        private static Task SetAndGet(CacheConnection setter, CacheConnection getter, WorkerTally tally)
        {
            long[] number = [BenchBlocks.NextFresh()];
            var begin = Stopwatch.GetTimestamp();
            _ = setter.TrySet(number);
            if (!getter.TryGet(number))
            {
                throw new LoadTestException($"Redis does not have key {number[0]}, which was just set.");
            }

            tally.Count(1, setter.ValueBytes, Stopwatch.GetTimestamp() - begin);

            // Nothing of what was read is needed again, and memory of the machine is what all of them share.
            if (number[0] % 64 == 0)
            {
                setter.Flush();
            }

            return Task.CompletedTask;
        }

        private async Task MissAsync(KvMeshClient reader, WorkerTally tally)
        {
            var hash = new byte[Limits.ChainHashBytes];
            BenchBlocks.WriteHash(hash, -1 - _number++);
            var begin = Stopwatch.GetTimestamp();
            var result = await reader.GetAsync(BenchBlocks.Scope, hash, new byte[64], CancellationToken.None).ConfigureAwait(false);
            tally.Count(1, 0, Stopwatch.GetTimestamp() - begin);
            if (result.IsHit)
            {
                throw new LoadTestException("A block was read that nobody wrote.");
            }
        }
    }
}
