using System.Diagnostics;
using System.Globalization;

namespace KvMesh.LoadTest.Measuring;

/// <summary>What else runs on the machine. A run beside a busy neighbour measures the neighbour.</summary>
internal static class Neighbours
{
    /// <summary>Cores that others may use during a run that counts: the ticks of /proc round by as much in a run of 0.2 s.</summary>
    public const double MaxCores = 0.15;

    private static readonly TimeSpan Glance = TimeSpan.FromMilliseconds(100);

    /// <summary>Processor time of the whole machine so far, in seconds, what its host took from it included.</summary>
    public static double BusyCoreSeconds()
    {
        // "cpu", then ticks of 10 ms: user, nice, system, idle, waiting for input, interrupts, soft interrupts, stolen.
        using var reader = new StreamReader("/proc/stat");
        var fields = reader.ReadLine()!.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return (Ticks(1) + Ticks(2) + Ticks(3) + Ticks(6) + Ticks(7) + Ticks(8)) / 100;

        double Ticks(int field) => double.Parse(fields[field], CultureInfo.InvariantCulture);
    }

    /// <summary>Waits until nobody computes, at most for <paramref name="patience"/>.</summary>
    public static void AwaitQuiet(TimeSpan patience)
    {
        for (var begin = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(begin) < patience;)
        {
            var (busy, at) = (BusyCoreSeconds(), Stopwatch.GetTimestamp());
            Thread.Sleep(Glance);
            if (BusyCoreSeconds() - busy <= MaxCores * Stopwatch.GetElapsedTime(at).TotalSeconds)
            {
                return;
            }
        }
    }
}
