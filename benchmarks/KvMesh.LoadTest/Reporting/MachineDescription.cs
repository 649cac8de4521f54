namespace KvMesh.LoadTest.Reporting;

/// <summary>What the figures depend on, read from the machine that they were measured on.</summary>
internal sealed record MachineDescription(string Processor, int Cores, long MemoryBytes, string Kernel, string CongestionControl, string Runtime)
{
    public static MachineDescription Read() => new(
        Field("/proc/cpuinfo", "model name"),
        Environment.ProcessorCount,
        GC.GetGCMemoryInfo().TotalAvailableMemoryBytes,
        File.ReadAllText("/proc/sys/kernel/osrelease").Trim(),
        File.ReadAllText("/proc/sys/net/ipv4/tcp_congestion_control").Trim(),
        System.Runtime.InteropServices.RuntimeInformation.FrameworkDescription);

    private static string Field(string file, string name)
    {
        var line = File.ReadLines(file).FirstOrDefault(line => line.StartsWith(name, StringComparison.Ordinal));
        return line is null ? "unknown" : line[(line.IndexOf(':') + 1)..].Trim();
    }
}
