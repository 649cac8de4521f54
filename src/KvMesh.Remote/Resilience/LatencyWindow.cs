using System.Numerics;

namespace KvMesh.Remote.Resilience;

/// <summary>
/// The last durations of one kind of request, by size of what came, and the 95th percentile of each. Any thread; a value that is lost
/// in a race of two writers is one of many.
/// </summary>
internal sealed class LatencyWindow
{
    private const int Classes = 6;
    private const int Samples = 64;

    /// <summary>Samples before a percentile says anything.</summary>
    private const int Enough = 16;

    /// <summary>The percentile is computed anew after so many samples.</summary>
    private const int Refresh = 8;

    private readonly Window[] _windows = [.. Enumerable.Range(0, Classes).Select(_ => new Window())];

    /// <summary>Adds one duration.</summary>
    public void Add(int bytes, TimeSpan duration) => _windows[ClassOf(bytes)].Add(duration.Ticks);

    /// <summary>The 95th percentile for that size, or null while too little is known.</summary>
    public TimeSpan? P95(int bytes) => Volatile.Read(ref _windows[ClassOf(bytes)].P95) is var ticks and > 0 ? TimeSpan.FromTicks(ticks) : null;

    /// <summary>To 64 KiB, 512 KiB, 4 MiB, 32 MiB, 256 MiB: within a class the time is mostly the same.</summary>
    private static int ClassOf(int bytes) => Math.Clamp((BitOperations.Log2((uint)Math.Max(bytes - 1, 1)) - 13) / 3, 0, Classes - 1);

    private sealed class Window
    {
        private readonly long[] _ticks = new long[Samples];
        private int _count;

        public long P95;

        public void Add(long ticks)
        {
            var index = Interlocked.Increment(ref _count) - 1;
            Volatile.Write(ref _ticks[(uint)index % Samples], Math.Max(1, ticks));
            if (index + 1 >= Enough && (index + 1) % Refresh == 0)
            {
                var sorted = new long[Math.Min(index + 1, Samples)];
                Array.Copy(_ticks, sorted, sorted.Length);
                Array.Sort(sorted);
                Volatile.Write(ref P95, sorted[(sorted.Length * 95 / 100) is var rank && rank < sorted.Length ? rank : sorted.Length - 1]);
            }
        }
    }
}
