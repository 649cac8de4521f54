using System.Buffers;
using System.CommandLine;
using System.Runtime.InteropServices;
using KvMesh.Client;
using KvMesh.LoadTest.Clients;
using KvMesh.LoadTest.Measuring;
using KvMesh.LoadTest.Processes;
using KvMesh.LoadTest.Reporting;

namespace KvMesh.LoadTest.Verbs;

/// <summary>Shared memory beside what it cannot beat: a ping-pong for leases, a checksum loop for gets, a copy loop for puts.</summary>
internal static class SharedMemoryVerb
{
    private const long ArenaBytes = 3L << 30;
    private const long FreshBytes = 2L << 30;
    private const long SetBytes = 1L << 30;

    /// <summary>Blocks whose place the checksum loop knows: leased at once, so a part of the residence budget only.</summary>
    private const int MappedBlocks = 32;

    /// <summary>A gigabyte in blocks of 4 MiB, as a prompt of 8,192 tokens has with a model of 128 KiB a token.</summary>
    private const int LongRun = 256;

    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(2);

    public static Command Create()
    {
        var size = new Option<int>("--size") { Description = "Payload bytes.", DefaultValueFactory = _ => 4 << 20 };
        var callers = new Option<int>("--connections") { DefaultValueFactory = _ => 2 };
        var only = Tasks.Option("lease", "get", "put");
        return RunOptions.Verb(
            "shm", "Shared memory: lease and release, get, put, beside bare loops.", 1, command => { command.Add(size); command.Add(callers); command.Add(only); },
            (parse, settings) => new Comparison(settings, parse.GetValue(size), parse.GetValue(callers), parse.GetValue(only)!).Run());
    }

    private sealed class Comparison(RunSettings settings, int size, int connections, string[] only)
    {
        private readonly Report _report = new(
            "shm",
            $"Closed loop, {connections} connections of one client process, payload {size} bytes. Leases: beside 64 bytes each way on a Unix socket. Gets: every "
            + $"byte is read and compared with its checksum, beside a loop over the same mapping; runs are blocks of one call. Puts: beside a loop that "
            + "copies and checksums into warm pages; payloads lie in rented memory, from where the node copies them once, as the loop does, or in memory of the "
            + "caller, from where they are copied twice.");

        public Report Run()
        {
            using var node = new NodeUnderTest(new KvMeshSettings { DataDirectory = "", ArenaBytes = ArenaBytes });
            using var loop = LoopProcess.Start(Path.Combine(node.Settings.DataDirectory, "loop.sock"), "");
            using var redis = RedisProcess.Start(0, node.Settings.DataDirectory);
            var options = new ClientOptions { Endpoint = node.UnixEndpoint, Connections = connections, BlockingCalls = true };
            var client = node.Connect(options);
            var trusting = node.Connect(options with { VerifyChecksums = false });
            if (client.Transport != ClientTransport.SharedMemory)
            {
                throw new LoadTestException($"The client moves blocks over {client.Transport}; the node did not offer its arena.");
            }

            NodeUnderTest.Fill(client, SetBytes / size, size);
            if (only.Contains("lease"))
            {
                CompareLeases(node, loop, trusting);
            }

            if (only.Contains("get"))
            {
                CompareGets(node, client, trusting);
            }

            if (only.Contains("put"))
            {
                ComparePuts(node, client, options, new CacheUnderTest("redis", redis.ProcessId, redis.Port, new RespDialect()));
            }

            return _report;
        }

        private void CompareLeases(NodeUnderTest node, LoopProcess loop, KvMeshClient client)
        {
            RunSettings.Progress("lease and release");
            foreach (var callers in new[] { 1, connections }.Distinct())
            {
                // A request is so short that one turn would still measure its compilation.
                Array.ForEach(Contenders(settings with { Time = WarmUp }), contender => _ = contender.Run());
                _report.AddRate($"lease + release, {callers} in flight", PairedRuns.Measure(Contenders(settings), settings), _ => 0.8);

                Contender[] Contenders(RunSettings run) =>
                [
                    new("64-byte ping-pong", () => BareLoop.Drive(loop, callers, 0, run, "", connection => connection.Ping())),
                    new("kvmesh", () => node.Drive(client, callers, size, run, long.MaxValue,
                        (worker, tally, window) => worker.LeaseAsync(SetBytes / size, tally, window, use: null))),
                ];
            }
        }

        private void CompareGets(NodeUnderTest node, KvMeshClient client, KvMeshClient trusting)
        {
            RunSettings.Progress("get");
            using var mapping = new MappedPayloads(trusting, size);
            Contender[] contenders =
            [
                new("checksum loop over the mapping", () => Workers.Run(connections, 0, () => new RunWindow(settings.Time), (tally, window) =>
                {
                    // Far apart: a loop behind another one would find what that has just brought into the cache, as no two readers of a node do.
                    for (var i = tally.Index * MappedBlocks / connections; window.TryBegin(size); i++)
                    {
                        MemoryVerb.Checksum(mapping.At(i % MappedBlocks));
                        tally.Count(1, size, 0);
                    }
                })),
                Runs(LongRun),
                Runs(MappedBlocks),
                new("kvmesh, read in place one by one", () => node.Drive(client, connections, size, settings, long.MaxValue,
                    (worker, tally, window) => worker.LeaseAsync(MappedBlocks, tally, window, static block => _ = block.Span))),
                new("kvmesh, read into own memory", () => node.Drive(client, connections, size, settings, long.MaxValue,
                    (worker, tally, window) => worker.GetAsync(MappedBlocks, tally, window))),
            ];
            var series = PairedRuns.Measure(contenders, settings);
            _report.AddThroughput("get, every byte verified", series, contender => contender.Name.Contains("runs of", StringComparison.Ordinal) ? 0.95 : null);

            Contender Runs(int length) => new($"kvmesh, runs of {length} read in place", () => node.Drive(client, connections, size, settings, long.MaxValue,
                (worker, tally, window) => worker.LeaseRunsAsync(MappedBlocks, length, tally, window)));
        }

        private void ComparePuts(NodeUnderTest node, KvMeshClient client, ClientOptions options, CacheUnderTest redis)
        {
            RunSettings.Progress("put");
            var task = new CacheTask(size, (int)(SetBytes / size), 1, connections, BenchKey.Opaque);
            using var copies = new CopyLoop(connections);
            var renting = node.Connect(options);
            IMemoryOwner<byte>[] rented = [.. Enumerable.Range(0, connections).Select(_ => renting.RentAsync(NativeWorker.WalkBytes, CancellationToken.None).AsTask().GetAwaiter().GetResult())];
            Memory<byte>[] walks = [.. rented.Select(owner => owner.Memory)];
            Array.ForEach(walks, walk => walk.Span.Fill(0x5A));
            Contender[] contenders =
            [
                new("copy and checksum loop, warm pages", () => copies.Run(settings, size)),
                new("kvmesh, out of rented memory", () => Put(renting, walks)),
                new("kvmesh, out of the caller's memory", () => Put(client, null)),
                new("redis SET, overwriting", () => redis.SetExisting(task, settings)),
            ];
            redis.Fill(task);
            var series = PairedRuns.Measure(contenders, settings);
            _report.AddThroughput("put of fresh keys", series, contender => contender.Name == "kvmesh, out of rented memory" ? 0.85 : null);
            _report.AddRatio("put of fresh keys: kvmesh ÷ redis SET", series[2], series[3], 1.5);
            Array.ForEach(rented, owner => owner.Dispose());

            Sample Put(KvMeshClient writer, Memory<byte>[]? from)
            {
                node.Flush();
                return node.Drive(writer, connections, size, settings, FreshBytes, (worker, tally, window) => worker.PutAsync(tally, window), from);
            }
        }
    }

    /// <summary>Payloads of leased blocks, by address: the mapping stays for as long as the leases.</summary>
    private sealed unsafe class MappedPayloads : IDisposable
    {
        private readonly List<LeasedBlock> _leases = [];
        private readonly byte*[] _starts = new byte*[MappedBlocks];
        private readonly int _size;

        public MappedPayloads(KvMeshClient client, int size)
        {
            _size = size;
            var hash = new byte[Protocol.Limits.ChainHashBytes];
            for (var number = 0; number < MappedBlocks; number++)
            {
                BenchBlocks.WriteHash(hash, number);
                var lease = client.LeaseAsync(BenchBlocks.Scope, hash, CancellationToken.None).AsTask().GetAwaiter().GetResult()
                    ?? throw new LoadTestException($"Leasing block {number} missed; it was stored before.");
                _leases.Add(lease);
                fixed (byte* start = lease.Span)
                {
                    // Shared memory does not move, so the address outlives the pin.
                    _starts[number] = start;
                }
            }

            // Leases end by time and hold budget; the mapping stays as long as the client, and the loop only reads.
            _leases.ForEach(lease => lease.Release());
        }

        public ReadOnlySpan<byte> At(int number) => new(_starts[number], _size);

        public void Dispose() => _leases.ForEach(lease => lease.Dispose());
    }

    /// <summary>What a put at least costs: one pass that copies and checksums, out of 64 MiB into a gigabyte that was touched before.</summary>
    private sealed unsafe class CopyLoop : IDisposable
    {
        private const int SourceBytes = 64 << 20;

        private readonly byte*[] _sources;
        private readonly byte*[] _targets;

        public CopyLoop(int threads)
        {
            _sources = new byte*[threads];
            _targets = new byte*[threads];
            for (var thread = 0; thread < threads; thread++)
            {
                _sources[thread] = Touched(SourceBytes);
                _targets[thread] = Touched((nuint)(SetBytes / threads));
            }
        }

        public Sample Run(RunSettings settings, int size) => Workers.Run(_sources.Length, 0, () => new RunWindow(settings.Time), (tally, window) =>
        {
            var targetBytes = SetBytes / _sources.Length;
            var (from, to) = (0L, 0L);
            while (window.TryBegin(size))
            {
                MemoryVerb.CopyAndChecksum(new ReadOnlySpan<byte>(_sources[tally.Index] + from, size), new Span<byte>(_targets[tally.Index] + to, size));
                from = from + (2 * size) > SourceBytes ? 0 : from + size;
                to = to + (2 * size) > targetBytes ? 0 : to + size;
                tally.Count(1, size, 0);
            }
        });

        public void Dispose()
        {
            for (var thread = 0; thread < _sources.Length; thread++)
            {
                NativeMemory.Free(_sources[thread]);
                NativeMemory.Free(_targets[thread]);
            }
        }

        private static byte* Touched(nuint bytes)
        {
            var memory = (byte*)NativeMemory.Alloc(bytes);
            NativeMemory.Fill(memory, bytes, 0x5A);
            return memory;
        }
    }
}
