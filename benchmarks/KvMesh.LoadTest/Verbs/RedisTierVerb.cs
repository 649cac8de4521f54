using System.Buffers.Binary;
using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using KvMesh.Engine;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.FarTiers;
using KvMesh.LoadTest.Measuring;
using KvMesh.LoadTest.Processes;
using KvMesh.LoadTest.Reporting;
using KvMesh.Protocol;
using KvMesh.Protocol.Integrity;
using KvMesh.Remote.Redis.Blocks;
using Microsoft.Extensions.Logging.Abstractions;
using StackExchange.Redis;

namespace KvMesh.LoadTest.Verbs;

/// <summary>The Redis tier beside StackExchange.Redis, which reads large values poorly, and redis-benchmark, which writes them well.</summary>
internal static class RedisTierVerb
{
    private const long SetBytes = 1L << 30;
    private const int SetBlocks = 32;

    public static Command Create()
    {
        var size = new Option<int>("--size") { Description = "Payload bytes.", DefaultValueFactory = _ => 4 << 20 };
        var callers = new Option<int>("--connections") { Description = "Callers that read at a time.", DefaultValueFactory = _ => 2 };
        return RunOptions.Verb(
            "redistier", "Blocks in Redis: get beside StackExchange.Redis, set beside redis-benchmark.", 1, command => { command.Add(size); command.Add(callers); },
            (parse, settings) => new Comparison(settings, parse.GetValue(size), parse.GetValue(callers)).Run());
    }

    private sealed class Comparison(RunSettings settings, int size, int callers)
    {
        private readonly Report _report = new(
            "redistier",
            $"Payload {size} bytes, one redis-server. Gets: {callers} callers, {SetBlocks} values in turn; KvMesh receives into memory of its own and compares every "
            + "byte with its checksum, StackExchange.Redis makes an array. Sets: one connection, fresh keys after FLUSHALL.");

        public Report Run()
        {
            using var folder = new TemporaryFolder();
            using var redis = RedisProcess.Start(0, folder.Path);
            using var engine = BlockEngine.Open(
                new EngineOptions { DataDirectory = folder.Path, ArenaBytes = 1 << 20, MaxBlocks = 1024, RemoveArenaOnStop = true, ScrubBytesPerSecond = 0 },
                TimeProvider.System, NullLoggerFactory.Instance);
            var keyFile = Path.Combine(folder.Path, "key");
            File.WriteAllBytes(keyFile, RandomNumberGenerator.GetBytes(32));
            File.SetUnixFileMode(keyFile, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            using var plain = new BenchTier(Open(redis, "plain", null), engine.Tenants.All[0], size);
            using var sealing = new BenchTier(Open(redis, "sealed", keyFile), engine.Tenants.All[0], size);
            using var other = ConnectionMultiplexer.Connect($"127.0.0.1:{redis.Port},allowAdmin=true,syncTimeout=60000");
            CompareGets(redis, other, plain, sealing);
            CompareSets(redis, other, plain, sealing);
            return _report;
        }

        private RedisBlockTier Open(RedisProcess redis, string cluster, string? keyFile)
        {
            var options = new RedisTierOptions { Address = $"127.0.0.1:{redis.Port}", Deadline = TimeSpan.FromSeconds(30), Connections = callers + 1 };
            if (keyFile is not null)
            {
                options.KeyFiles.Add(keyFile);
            }

            return new RedisBlockTier(options, cluster, [], "", TimeProvider.System, NullLoggerFactory.Instance);
        }

        private void CompareGets(RedisProcess redis, ConnectionMultiplexer other, BenchTier plain, BenchTier sealing)
        {
            RunSettings.Progress("get");
            var database = other.GetDatabase();
            var value = new byte[size];
            for (var number = 0; number < SetBlocks; number++)
            {
                plain.Set(number);
                sealing.Set(number);
                BinaryPrimitives.WriteInt64LittleEndian(value, number);
                database.StringSet($"value-{number}", value);
            }

            Contender[] contenders =
            [
                new("StackExchange.Redis", () => Drive(redis, (number, tally) =>
                {
                    var read = (byte[])database.StringGet($"value-{number}")!;
                    Check(read.Length == size && BinaryPrimitives.ReadInt64LittleEndian(read) == number, number);
                })),
                new("kvmesh", () => Drive(redis, (number, tally) => plain.Get(number, tally.Index))),
                new("kvmesh, AES-256-GCM", () => Drive(redis, (number, tally) => sealing.Get(number, tally.Index))),
            ];
            _report.AddThroughput(
                $"get, {callers} callers", PairedRuns.Measure(contenders, settings), contender => contender.Name == "kvmesh" ? 2 : null);
        }

        private void CompareSets(RedisProcess redis, ConnectionMultiplexer other, BenchTier plain, BenchTier sealing)
        {
            RunSettings.Progress("set");
            var server = other.GetServer(other.GetEndPoints()[0]);
            var count = (int)(SetBytes / size);
            Contender[] contenders =
            [
                new("redis-benchmark", () => RunBenchmark(redis, server, count)),
                new("kvmesh", () => SetAll(redis, server, plain, count)),
                new("kvmesh, AES-256-GCM", () => SetAll(redis, server, sealing, count)),
            ];
            _report.AddThroughput("set of fresh keys", PairedRuns.Measure(contenders, settings), contender => contender.Name == "kvmesh" ? 0.9 : null);
        }

        private Sample Drive(RedisProcess redis, Action<int, WorkerTally> get) =>
            Workers.Run(callers, redis.ProcessId, () => new RunWindow(settings.Time), (tally, window) =>
            {
                for (var turn = tally.Index * 7; window.TryBegin(size); turn++)
                {
                    var startedAt = Stopwatch.GetTimestamp();
                    get(turn % SetBlocks, tally);
                    tally.Count(1, size, Stopwatch.GetTimestamp() - startedAt);
                }
            });

        private Sample SetAll(RedisProcess redis, IServer server, BenchTier tier, int count)
        {
            server.FlushAllDatabases();
            return Workers.Run(1, redis.ProcessId, () => new RunWindow(TimeSpan.FromMinutes(5)), (tally, _) =>
            {
                for (var turn = 0; turn < count; turn++)
                {
                    var startedAt = Stopwatch.GetTimestamp();
                    tier.Set(tier.NextFresh());
                    tally.Count(1, size, Stopwatch.GetTimestamp() - startedAt);
                }
            });
        }

        /// <summary>Its own figure of requests per second; its processor time is what the kernel says of children that have ended.</summary>
        private Sample RunBenchmark(RedisProcess redis, IServer server, int count)
        {
            server.FlushAllDatabases();
            var (client, node) = (CpuMeter.CoreSecondsOfChildren(), CpuMeter.CoreSeconds(redis.ProcessId));
            var start = new ProcessStartInfo("redis-benchmark") { RedirectStandardOutput = true };
            foreach (var argument in (string[])
                ["-p", $"{redis.Port}", "-t", "set", "-d", $"{size}", "-n", $"{count}", "-c", "1", "-r", "1000000000", "--csv"])
            {
                start.ArgumentList.Add(argument);
            }

            using var process = Process.Start(start) ?? throw new LoadTestException("redis-benchmark cannot be started. Is it installed?");
            var output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            var line = output.Split('\n').FirstOrDefault(line => line.StartsWith("\"SET\"", StringComparison.Ordinal))
                ?? throw new LoadTestException($"redis-benchmark printed no line for SET: {output}");
            var rate = double.Parse(line.Split(',')[1].Trim('"'), CultureInfo.InvariantCulture);
            return new Sample(
                count, (long)count * size, count / rate, CpuMeter.CoreSecondsOfChildren() - client, CpuMeter.CoreSeconds(redis.ProcessId) - node);
        }
    }

    private static void Check(bool isRight, long number)
    {
        if (!isRight)
        {
            throw new LoadTestException($"Block {number} did not come, or came with the bytes of another one.");
        }
    }

    /// <summary>A tier with blocks by number, out of and into 64 MiB of memory for each caller.</summary>
    private sealed class BenchTier(RedisBlockTier tier, Tenant tenant, int size) : IDisposable
    {
        private const int MemoryBytes = 64 << 20;

        private readonly byte[] _source = RandomNumberGenerator.GetBytes(Math.Max(MemoryBytes, size));
        private readonly uint[] _table = new uint[ChecksumTable.EntryCount(size)];
        private readonly BenchIntake?[] _intakes = new BenchIntake?[64];
        private long _fresh = 1L << 40;
        private int _turn;

        public long NextFresh() => ++_fresh;

        /// <summary>Writes a block; what it costs to make its checksums is in it, as the engine made them long before.</summary>
        public void Set(long number)
        {
            var offset = _turn++ % Math.Max(1, _source.Length / size) * size;
            var payload = _source.AsSpan(offset, size);
            BinaryPrimitives.WriteInt64LittleEndian(payload, number);
            ChecksumTable.Compute(payload, _table);
            Check(
                tier.Offer(new LeavingBlock
                {
                    Tenant = tenant,
                    Key = KeyOf(number),
                    Payload = payload,
                    Checksums = _table,
                    Origin = new BlockOrigin
                    {
                        PayloadBytes = size,
                        TableChecksum = ChecksumTable.Seal(_table),
                        Traits = BlockTraits.Content("bench", "1", default),
                    },
                    IsWanted = true,
                }),
                number);
        }

        public void Get(long number, int caller)
        {
            var intake = _intakes[caller] ??= new BenchIntake(Math.Max(MemoryBytes, size));
            Check(tier.Fetch(tenant, KeyOf(number), 1, intake) == FetchOutcome.Filled, number);
            Check(BinaryPrimitives.ReadInt64LittleEndian(intake.Payload) == number, number);
        }

        public void Dispose() => tier.Dispose();

        private static byte[] KeyOf(long number)
        {
            var key = new byte[84];
            BinaryPrimitives.WriteInt64LittleEndian(key, number);
            return key;
        }
    }

    /// <summary>What the engine does with a block that comes, without an arena.</summary>
    private sealed class BenchIntake(int memoryBytes) : IBlockIntake
    {
        private readonly byte[] _memory = GC.AllocateUninitializedArray<byte>(memoryBytes, pinned: true);
        private int _offset;
        private int _bytes;

        public FetchPriority Priority => FetchPriority.Foreground;

        public TimeSpan Remaining => TimeSpan.FromSeconds(30);

        public int AcceptedPrefixBytes => 0;

        public Span<byte> Payload => _memory.AsSpan(_offset, _bytes);

        public void Expect(int payloadBytes)
        {
        }

        public bool TryReserve(in BlockOrigin origin)
        {
            _offset = _offset + _bytes + origin.PayloadBytes > _memory.Length ? 0 : _offset + _bytes;
            _bytes = origin.PayloadBytes;
            return true;
        }

        public bool TryAccept(int firstChunk, ReadOnlySpan<byte> checksums)
        {
            var entries = MemoryMarshal.Cast<byte, uint>(checksums);
            var rest = Payload[(firstChunk * Limits.ChecksumChunkBytes)..];
            return ChecksumTable.FirstMismatch(rest[..Math.Min(rest.Length, entries.Length * Limits.ChecksumChunkBytes)], entries) < 0;
        }
    }
}
