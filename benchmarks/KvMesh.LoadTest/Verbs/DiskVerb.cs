using System.CommandLine;
using System.Diagnostics;
using System.Runtime.InteropServices;
using KvMesh.Engine.Disk;
using KvMesh.LoadTest.Measuring;
using KvMesh.LoadTest.Processes;
using KvMesh.LoadTest.Reporting;
using KvMesh.Protocol;
using KvMesh.Protocol.Arena;
using KvMesh.Protocol.Keys;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.LoadTest.Verbs;

/// <summary>The disk tier beside plain O_DIRECT sequential I/O of the same size on the same file system.</summary>
internal static class DiskVerb
{
    public static Command Create()
    {
        var size = new Option<int>("--size") { Description = "Payload bytes.", DefaultValueFactory = _ => 4 << 20 };
        var folder = new Option<string>("--folder") { Description = "Where to measure; on the file system in question.", DefaultValueFactory = _ => Path.GetTempPath() };
        return RunOptions.Verb(
            "disk", "Disk tier: write and read beside plain O_DIRECT I/O.", 1, command => { command.Add(size); command.Add(folder); },
            (parse, settings) => new Comparison(settings, parse.GetValue(size), parse.GetValue(folder)!).Run());
    }

    private sealed class Comparison(RunSettings settings, int size, string folder)
    {
        private const double Target = 0.85;
        private static readonly int[] Threads = [1, 2];

        public Report Run()
        {
            var report = new Report(
                "disk",
                $"Blocks of {size} bytes on the file system of {folder}. Plain: pwrite and pread with O_DIRECT, sequential, into space set aside before, without a "
                + "sync. The tier adds a header to each block, syncs every 256 MiB, and checks the header of what it reads.");
            foreach (var threads in Threads)
            {
                RunSettings.Progress($"write, {threads} thread(s)");
                Contender[] writes =
                [
                    new("plain O_DIRECT", () => WithFile(file => file.Write(settings, threads))),
                    new("kvmesh", () => WithTier(tier => tier.Write(settings, threads))),
                ];
                report.AddThroughput($"write, {threads} thread(s)", PairedRuns.Measure(writes, settings), _ => Target);
            }

            using var home = new TemporaryFolder(folder);
            using var plain = new PlainStore(Path.Combine(home.Path, "plain"), size);
            using var stored = new TierStore(Path.Combine(home.Path, "tier"), size);

            // In turns, so that both are equally fresh in whatever cache lies below.
            for (var number = 0L; number < plain.FilledBlocks; number++)
            {
                plain.Fill(number);
                stored.Fill(number);
            }

            foreach (var threads in Threads)
            {
                RunSettings.Progress($"read, {threads} thread(s)");
                Contender[] reads =
                [
                    new("plain O_DIRECT", () => plain.Read(settings, threads)),
                    new("kvmesh", () => stored.Read(settings, threads)),
                ];
                report.AddThroughput($"read, {threads} thread(s)", PairedRuns.Measure(reads, settings), _ => Target);
            }

            report.Note("A virtual disk may answer reads of what was just written out of the host's cache: the figures are this machine's, not a device's.");
            return report;
        }

        private Sample WithFile(Func<PlainStore, Sample> run)
        {
            using var home = new TemporaryFolder(folder);
            using var store = new PlainStore(Path.Combine(home.Path, "plain"), size);
            return run(store);
        }

        private Sample WithTier(Func<TierStore, Sample> run)
        {
            using var home = new TemporaryFolder(folder);
            using var store = new TierStore(Path.Combine(home.Path, "tier"), size);
            return run(store);
        }
    }

    /// <summary>A store of at most 2 GiB; half of it is filled for reads.</summary>
    private abstract unsafe class Store : IDisposable
    {
        protected const long Capacity = 2L << 30;

        private const long BufferBytes = 64 << 20;

        private readonly byte* _memory = (byte*)NativeMemory.AlignedAlloc((nuint)BufferBytes, Limits.GranuleBytes);

        protected Store(int size)
        {
            Size = size;
            Stride = (size + (2 * Limits.GranuleBytes) - 1) / Limits.GranuleBytes * Limits.GranuleBytes;
            NativeMemory.Fill(_memory, (nuint)BufferBytes, 0x5A);
        }

        protected int Size { get; }

        /// <summary>Bytes of payload, table and names, in whole granules.</summary>
        protected int Stride { get; }

        public long FilledBlocks => Capacity / 2 / Stride;

        public void Fill(long number) => WriteOne(number, BufferAt(0, number));

        public Sample Write(RunSettings settings, int threads)
        {
            var next = -1L;
            return Drive(settings, threads, Capacity * 3 / 4, (buffer, _) => WriteOne(Interlocked.Increment(ref next), buffer));
        }

        public Sample Read(RunSettings settings, int threads)
        {
            var next = -1L;
            return Drive(settings, threads, long.MaxValue, (buffer, _) => ReadOne(Interlocked.Increment(ref next) % FilledBlocks, buffer));
        }

        public virtual void Dispose() => NativeMemory.AlignedFree(_memory);

        protected abstract void WriteOne(long number, nint buffer);

        protected abstract void ReadOne(long number, nint buffer);

        /// <summary>Buffers of a thread follow each other; with many threads or large blocks they are shared, which harms nothing here.</summary>
        private nint BufferAt(int thread, long turn)
        {
            var buffers = Math.Max(1, BufferBytes / Stride);
            return (nint)(_memory + (((thread * 4) + (turn % 4)) % buffers * Stride));
        }

        private Sample Drive(RunSettings settings, int threads, long budget, Action<nint, long> step) =>
            Workers.Run(threads, 0, () => new RunWindow(settings.Time, budget), (tally, window) =>
            {
                for (var turn = 0L; window.TryBegin(Size); turn++)
                {
                    var begin = Stopwatch.GetTimestamp();
                    step(BufferAt(tally.Index, turn), turn);
                    tally.Count(1, Size, Stopwatch.GetTimestamp() - begin);
                }
            });
    }

    private sealed unsafe class PlainStore(string path, int size) : Store(size)
    {
        private readonly DirectFile _file = new(path, Capacity);

        public override void Dispose()
        {
            _file.Dispose();
            base.Dispose();
        }

        protected override void WriteOne(long number, nint buffer) => _file.Write(number * Stride, (byte*)buffer, Stride);

        protected override void ReadOne(long number, nint buffer) => _file.Read(number * Stride, (byte*)buffer, Stride);
    }

    private sealed unsafe class TierStore : Store, IDiskReclaimObserver
    {
        private readonly DiskTier _tier;
        private readonly DiskLocation[] _locations = new DiskLocation[1 << 20];
        private readonly int _extentBytes;

        public TierStore(string folder, int size)
            : base(size)
        {
            _extentBytes = Extent(size);
            var options = new DiskOptions { Directory = folder, CapacityBytes = Capacity * 3 / 2 };
            _tier = DiskTier.Open(
                options, Guid.NewGuid(), new LocalBlockFileSystem(folder, useDirectIo: true), this, (in DiskRecord _, DiskLocation _) => false, TimeProvider.System,
                NullLogger.Instance);
        }

        public bool IsPromised(in DiskRecord record, DiskLocation location) => false;

        public ReclaimVerdict Decide(in DiskRecord record, DiskLocation location, bool mayKeep, out uint hits)
        {
            hits = 0;
            return ReclaimVerdict.Drop;
        }

        public bool Moved(in DiskRecord record, DiskLocation from, DiskLocation to) => true;

        public void Forget(in DiskRecord record, DiskLocation location)
        {
        }

        public override void Dispose()
        {
            _tier.Dispose();
            base.Dispose();
        }

        protected override void WriteOne(long number, nint buffer)
        {
            Span<byte> key = stackalloc byte[40];
            key.Clear();
            BitConverter.TryWriteBytes(key, number);
            var record = new DiskRecord
            {
                Tenant = "default"u8,
                Key = key,
                Model = "bench-model"u8,
                Revision = "r1"u8,
                Digest = DigestOf(number),
                PayloadBytes = Size,
                ExtentBytes = _extentBytes,
                Flags = BlockFlags.Content,
            };
            if (!_tier.TryAppend(record, new ReadOnlySpan<byte>((void*)buffer, Stride), out _locations[number]))
            {
                throw new LoadTestException($"The disk tier refused block {number}.");
            }
        }

        protected override void ReadOne(long number, nint buffer)
        {
            if (!_tier.TryRead(_locations[number], DigestOf(number), new Span<byte>((void*)buffer, Stride)))
            {
                throw new LoadTestException($"The disk tier does not have block {number}.");
            }
        }

        private static KeyDigest DigestOf(long number) => new((ulong)number * 0x9E3779B97F4A7C15, (ulong)number);

        private static int Extent(int size) => size + (Protocol.Integrity.ChecksumTable.EntryCount(size) * sizeof(uint)) + 7 + 40;
    }
}
