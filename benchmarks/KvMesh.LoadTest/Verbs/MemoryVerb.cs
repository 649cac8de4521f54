using System.CommandLine;
using System.Runtime.InteropServices;
using KvMesh.LoadTest.Measuring;
using KvMesh.LoadTest.Reporting;
using KvMesh.Protocol.Integrity;

namespace KvMesh.LoadTest.Verbs;

/// <summary>What the machine's memory gives at best: the floors under every other verb.</summary>
internal static unsafe class MemoryVerb
{
    private const long WalkBytes = 1L << 30;
    private const int BlockBytes = 4 << 20;

    public static Command Create() =>
        RunOptions.Verb("memory", "memcpy, CRC-32C and first touch of pages, 1 to N threads.", 0.5, _ => { }, (_, settings) => Run(settings));

    private static Report Run(RunSettings settings)
    {
        var report = new Report("memory", "Blocks of 4 MiB, walking 1 GiB a thread, so that nothing is cache-hot.");
        foreach (var threads in ThreadCounts.OfThisMachine)
        {
            RunSettings.Progress($"{threads} threads");
            using var source = new Walks(threads);
            using var target = new Walks(threads);
            var copy = new Contender("memcpy", () => Measure(threads, settings, (thread, offset) => source.At(thread, offset).CopyTo(target.At(thread, offset))));
            var checksum = new Contender("CRC-32C table", () => Measure(threads, settings, (thread, offset) => Checksum(source.At(thread, offset))));
            var both = new Contender("memcpy and CRC-32C", () => Measure(threads, settings, (thread, offset) => CopyAndChecksum(source.At(thread, offset), target.At(thread, offset))));
            var cold = new Contender("memcpy into cold pages", () => MeasureCold(threads, settings, source));
            report.AddThroughput($"{threads} thread(s)", PairedRuns.Measure([copy, checksum, both, cold], settings));
        }

        return report;
    }

    /// <summary>Copies and checksums in one pass, with the routine that the node and its clients use: what a put at least costs.</summary>
    internal static void CopyAndChecksum(ReadOnlySpan<byte> source, Span<byte> target)
    {
        Span<uint> table = stackalloc uint[ChecksumTable.EntryCount(source.Length)];
        ChecksumTable.CopyAndCompute(source, target, table, streams: true);
    }

    internal static void Checksum(ReadOnlySpan<byte> source)
    {
        Span<uint> table = stackalloc uint[ChecksumTable.EntryCount(source.Length)];
        ChecksumTable.Compute(source, table);
    }

    private static Sample Measure(int threads, RunSettings settings, Action<int, long> step) =>
        Workers.Run(threads, 0, () => new RunWindow(settings.Time), (tally, window) =>
        {
            for (var offset = 0L; window.TryBegin(BlockBytes); offset = (offset + BlockBytes) % WalkBytes)
            {
                step(tally.Index, offset);
                tally.Count(1, BlockBytes, 0);
            }
        });

    /// <summary>Every block goes to memory that was never touched; the mapping itself is not timed.</summary>
    private static Sample MeasureCold(int threads, RunSettings settings, Walks source)
    {
        using var target = new Walks(threads, touch: false);
        return Workers.Run(threads, 0, () => new RunWindow(settings.Time, threads * WalkBytes), (tally, window) =>
        {
            for (var offset = 0L; offset < WalkBytes && window.TryBegin(BlockBytes); offset += BlockBytes)
            {
                source.At(tally.Index, offset).CopyTo(target.At(tally.Index, offset));
                tally.Count(1, BlockBytes, 0);
            }
        });
    }

    /// <summary>One gigabyte for each thread, outside the managed heap.</summary>
    private sealed class Walks : IDisposable
    {
        private readonly byte*[] _starts;

        public Walks(int threads, bool touch = true)
        {
            _starts = new byte*[threads];
            for (var thread = 0; thread < threads; thread++)
            {
                _starts[thread] = (byte*)NativeMemory.Alloc((nuint)WalkBytes);
                if (touch)
                {
                    NativeMemory.Fill(_starts[thread], (nuint)WalkBytes, 0x5A);
                }
            }
        }

        public Span<byte> At(int thread, long offset) => new(_starts[thread] + offset, BlockBytes);

        public void Dispose()
        {
            foreach (var start in _starts)
            {
                NativeMemory.Free(start);
            }
        }
    }
}
