using System.Buffers.Binary;
using System.CommandLine;
using System.Runtime.InteropServices;
using KvMesh.Engine;
using KvMesh.Engine.Blocks;
using KvMesh.LoadTest.Clients;
using KvMesh.LoadTest.Measuring;
using KvMesh.LoadTest.Processes;
using KvMesh.LoadTest.Reporting;
using KvMesh.Protocol;
using KvMesh.Protocol.Integrity;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.LoadTest.Verbs;

/// <summary>Get and put inside one process, 1 to N threads: what the engine costs without any door.</summary>
internal static class EngineVerb
{
    public static Command Create()
    {
        var size = new Option<int>("--size") { Description = "Payload bytes.", DefaultValueFactory = _ => 4 << 20 };
        var arena = new Option<long>("--arena-bytes") { DefaultValueFactory = _ => 3L << 30 };
        return RunOptions.Verb(
            "engine", "Get and put in one process, 1 to N threads, beside memory loops.", 0.5, command => { command.Add(size); command.Add(arena); },
            (parse, settings) =>
            {
                using var curve = new Curve(settings, parse.GetValue(size), parse.GetValue(arena));
                return curve.Run();
            });
    }

    private sealed class Curve : IDisposable
    {
        private readonly RunSettings _settings;
        private readonly int _size;
        private readonly int _blocks;
        private readonly Sources _sources;
        private readonly TemporaryFolder _folder = new();
        private readonly BlockEngine _engine;
        private readonly Tenant _tenant;
        private readonly Report _report;

        public Curve(RunSettings settings, int size, long arenaBytes)
        {
            _settings = settings;
            _size = size;
            _blocks = (int)(arenaBytes / 2 / size);
            _sources = new Sources(ThreadCounts.OfThisMachine.Max(), size);
            _engine = BlockEngine.Open(
                new EngineOptions { DataDirectory = _folder.Path, ArenaBytes = arenaBytes, ScrubBytesPerSecond = 0, RemoveArenaOnStop = true },
                TimeProvider.System, NullLoggerFactory.Instance);
            _tenant = _engine.Tenants.All[0];
            _report = new Report(
                "engine",
                $"In one process, payload {size} bytes. Get: every byte is read and compared with its checksum, beside the checksum loop over as much memory. "
                + "Put: reserve, copy and checksum in one pass, seal, with eviction at work, beside the copy and checksum loop.");
        }

        public Report Run()
        {
            while (_engine.Snapshot().Arenas.Any(arena => arena.WarmBytes < arena.CapacityBytes))
            {
                // Until it is backed, the engine spends most of a core on that.
                Thread.Sleep(100);
            }

            var payload = new byte[_size];
            for (var number = 0L; number < _blocks; number++)
            {
                Put(number, payload);
            }

            foreach (var threads in ThreadCounts.OfThisMachine)
            {
                RunSettings.Progress($"get, {threads} thread(s)");
                using var loop = new Loop(threads, _size, (long)_blocks * _size, _sources);
                Contender[] gets =
                [
                    new("checksum loop", () => loop.Checksum(_settings)),
                    new("kvmesh", () => Measure(threads, (tally, random, _) => Get(random.NextInt64(_blocks)))),
                ];
                _report.AddThroughput($"get, {threads} thread(s)", PairedRuns.Measure(gets, _settings));
            }

            // Puts evict what the gets read, so they come last.
            foreach (var threads in ThreadCounts.OfThisMachine)
            {
                RunSettings.Progress($"put, {threads} thread(s)");
                using var loop = new Loop(threads, _size, (long)_blocks * _size, _sources);
                Contender[] puts =
                [
                    new("copy and checksum loop", () => loop.Copy(_settings)),
                    new("kvmesh", () => Measure(threads, (_, _, source) => Put(BenchBlocks.NextFresh(), source))),
                ];
                _report.AddThroughput($"put of fresh keys, evicting, {threads} thread(s)", PairedRuns.Measure(puts, _settings));
            }

            return _report;
        }

        public void Dispose()
        {
            _engine.Dispose();
            _folder.Dispose();
        }

        private Sample Measure(int threads, Action<WorkerTally, Random, byte[]> step) =>
            Workers.Run(threads, 0, () => new RunWindow(_settings.Time), (tally, window) =>
            {
                var random = new Random(tally.Index + 1);
                for (var turn = 0; window.TryBegin(_size); turn++)
                {
                    step(tally, random, _sources.At(tally.Index, turn));
                    tally.Count(1, _size, 0);
                }
            });

        private void Get(long number)
        {
            if (!_engine.TryRead(_tenant, KeyOf(number), ReadIntent.Use, out var read))
            {
                throw new LoadTestException($"Block {number} is not there; it was stored before.");
            }

            using (read)
            {
                if (!read.Verify() || BinaryPrimitives.ReadInt64LittleEndian(read.Payload) != number)
                {
                    throw new LoadTestException($"Block {number} does not have the bytes that were stored.");
                }
            }
        }

        private void Put(long number, byte[] payload)
        {
            BinaryPrimitives.WriteInt64LittleEndian(payload, number);
            var traits = BlockTraits.Content("bench-model", "r1", []);
            var status = _engine.TryReserve(_tenant, KeyOf(number), _size, traits, out var reservation);
            if (status != ReserveStatus.Reserved)
            {
                throw new LoadTestException($"Block {number} was not reserved: {status}.");
            }

            ChecksumTable.CopyAndCompute(payload, reservation!.Payload, reservation.Checksums, streams: payload.Length >= 1 << 20);
            _engine.Seal(reservation, default);
        }

        private static byte[] KeyOf(long number)
        {
            var hash = new byte[Limits.ChainHashBytes];
            BenchBlocks.WriteHash(hash, number);
            return BenchBlocks.Scope.KeyOf(hash);
        }
    }

    /// <summary>64 MiB of payloads for each thread, touched before any time is taken.</summary>
    private sealed class Sources
    {
        private const int ThreadBytes = 64 << 20;

        private readonly byte[][][] _blocks;

        public Sources(int threads, int size) =>
            _blocks = [.. Enumerable.Range(0, threads).Select(_ => Enumerable.Range(0, Math.Max(1, ThreadBytes / size)).Select(_ => Filled(size)).ToArray())];

        public byte[] At(int thread, long turn) => _blocks[thread][turn % _blocks[thread].Length];

        private static byte[] Filled(int bytes)
        {
            var block = new byte[bytes];
            Array.Fill(block, (byte)0x5A);
            return block;
        }
    }

    /// <summary>The same passes over plain memory of the same size.</summary>
    private sealed unsafe class Loop : IDisposable
    {
        private readonly byte* _memory;
        private readonly Sources _sources;
        private readonly int _threads;
        private readonly int _size;
        private readonly long _bytes;

        public Loop(int threads, int size, long bytes, Sources sources)
        {
            _sources = sources;
            _threads = threads;
            _size = size;
            _bytes = bytes / size * size;
            _memory = (byte*)NativeMemory.Alloc((nuint)_bytes);
            NativeMemory.Fill(_memory, (nuint)_bytes, 0x5A);
        }

        public Sample Checksum(RunSettings settings) => Walk(settings, (at, _) => MemoryVerb.Checksum(new ReadOnlySpan<byte>((void*)at, _size)));

        public Sample Copy(RunSettings settings) =>
            Walk(settings, (at, source) => MemoryVerb.CopyAndChecksum(source, new Span<byte>((void*)at, _size)));

        public void Dispose() => NativeMemory.Free(_memory);

        private Sample Walk(RunSettings settings, Action<nint, byte[]> step) => Workers.Run(_threads, 0, () => new RunWindow(settings.Time), (tally, window) =>
        {
            var blocks = _bytes / _size;
            for (var turn = blocks * tally.Index / _threads; window.TryBegin(_size); turn++)
            {
                step((nint)(_memory + (turn % blocks * _size)), _sources.At(tally.Index, turn));
                tally.Count(1, _size, 0);
            }
        });
    }
}
