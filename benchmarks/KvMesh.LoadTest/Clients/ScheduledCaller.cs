using System.Diagnostics;
using System.Runtime.InteropServices;
using KvMesh.Client;
using KvMesh.LoadTest.Measuring;
using KvMesh.Protocol;

namespace KvMesh.LoadTest.Clients;

/// <summary>
/// Asks for blocks at times that were drawn beforehand, at random with a mean rate, whether or not the one before was answered in
/// time; a late start counts into the time of the request.
/// </summary>
internal sealed partial class ScheduledCaller(KvMeshClient client, int payloadBytes, long blocks, double requestsPerSecond, int seed)
{
    private readonly byte[] _payload = GC.AllocateUninitializedArray<byte>(payloadBytes, pinned: true);
    private readonly byte[] _hash = new byte[Limits.ChainHashBytes];
    private readonly Random _random = new(seed);

    public void Run(WorkerTally tally, RunWindow window)
    {
        var due = Stopwatch.GetTimestamp();
        while (true)
        {
            due += (long)(-Math.Log(1 - _random.NextDouble()) / requestsPerSecond * Stopwatch.Frequency);
            WaitUntil(due);
            if (!window.TryBegin(payloadBytes))
            {
                return;
            }

            var number = _random.NextInt64(blocks);
            BenchBlocks.WriteHash(_hash, number);
            var result = client.GetAsync(BenchBlocks.Scope, _hash, _payload, CancellationToken.None).AsTask().GetAwaiter().GetResult();
            tally.Count(1, payloadBytes, Stopwatch.GetTimestamp() - due);
            if (!result.IsHit)
            {
                throw new LoadTestException($"Reading block {number} ended with {result.Status}; it was stored before.");
            }

            BenchBlocks.Check(_payload, number);
        }
    }

    /// <summary>Sleeps with the kernel's precision: a spinning caller would take a core from the server.</summary>
    private static void WaitUntil(long due)
    {
        var left = due - Stopwatch.GetTimestamp();
        if (left > 0)
        {
            var nanoseconds = left * 1_000_000_000 / Stopwatch.Frequency;
            _ = Sleep(new TimeValue { Seconds = nanoseconds / 1_000_000_000, Nanoseconds = nanoseconds % 1_000_000_000 }, 0);
        }
    }

    [LibraryImport("libc", EntryPoint = "nanosleep")]
    private static partial int Sleep(in TimeValue time, nint left);

    [StructLayout(LayoutKind.Sequential)]
    private struct TimeValue
    {
        public long Seconds;
        public long Nanoseconds;
    }
}
