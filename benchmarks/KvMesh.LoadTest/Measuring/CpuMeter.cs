using System.Globalization;

namespace KvMesh.LoadTest.Measuring;

/// <summary>Processor time of processes, from /proc. The kernel counts it in ticks of 10 ms, so a run takes half a second or more.</summary>
internal static class CpuMeter
{
    private const double TicksPerSecond = 100;

    /// <summary>User and system time of a process so far, in seconds, ended threads included.</summary>
    public static double CoreSeconds(int processId)
    {
        var text = File.ReadAllText($"/proc/{processId}/stat");

        // The name in parentheses may hold spaces; utime and stime are the 12th and 13th field behind it.
        var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
        return (Parse(fields[11]) + Parse(fields[12])) / TicksPerSecond;
    }

    /// <summary>The same of all processes that this one started and that have ended.</summary>
    public static double CoreSecondsOfChildren()
    {
        var text = File.ReadAllText("/proc/self/stat");
        var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
        return (Parse(fields[13]) + Parse(fields[14])) / TicksPerSecond;
    }

    private static double Parse(string field) => double.Parse(field, CultureInfo.InvariantCulture);
}
