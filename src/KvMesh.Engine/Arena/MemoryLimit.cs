using System.Globalization;

namespace KvMesh.Engine.Arena;

/// <summary>How much memory this process may still take, and who says so: the machine, or a control group that the process is in.</summary>
/// <param name="AvailableBytes">Free, or given up by the kernel when somebody wants it.</param>
/// <param name="Owner">For messages.</param>
internal readonly record struct MemoryLimit(long AvailableBytes, string Owner)
{
    /// <summary>A group without a limit says a number near the largest one.</summary>
    private const long Unlimited = 1L << 60;

    /// <summary>The narrowest of all limits. What cannot be read limits nothing.</summary>
    /// <param name="root">Where <c>proc</c> and <c>sys</c> are.</param>
    public static MemoryLimit Read(string root = "/")
    {
        var narrowest = new MemoryLimit(MachineBytes(root) ?? GC.GetGCMemoryInfo().TotalAvailableMemoryBytes, "the machine");
        foreach (var (folder, group, isSecond) in Groups(root))
        {
            if (GroupBytes(folder, isSecond) is { } bytes && bytes < narrowest.AvailableBytes)
            {
                narrowest = new MemoryLimit(bytes, $"the control group {group}");
            }
        }

        return narrowest;
    }

    private static long? MachineBytes(string root)
    {
        foreach (var line in ReadLines(Path.Combine(root, "proc/meminfo")))
        {
            if (line.StartsWith("MemAvailable:", StringComparison.Ordinal)
                && long.TryParse(line.AsSpan("MemAvailable:".Length).TrimEnd(" kB").Trim(), CultureInfo.InvariantCulture, out var kibibytes))
            {
                return kibibytes * 1024;
            }
        }

        return null;
    }

    /// <summary>The groups of this process and those around them, in both versions. In a container they may lie directly in the mounted folder.</summary>
    private static IEnumerable<(string Folder, string Group, bool IsSecond)> Groups(string root)
    {
        foreach (var line in ReadLines(Path.Combine(root, "proc/self/cgroup")))
        {
            var fields = line.Split(':', 3);
            var isSecond = fields is ["0", "", _];
            if (fields.Length < 3 || !(isSecond || fields[1].Split(',').Contains("memory")))
            {
                continue;
            }

            var mounted = Path.Combine(root, isSecond ? "sys/fs/cgroup" : "sys/fs/cgroup/memory");
            for (var group = fields[2].TrimEnd('/'); group.Length > 0; group = group[..group.LastIndexOf('/')])
            {
                yield return (mounted + group, group, isSecond);
            }

            yield return (mounted, "/", isSecond);
        }
    }

    private static long? GroupBytes(string folder, bool isSecond)
    {
        var limit = ReadNumber(Path.Combine(folder, isSecond ? "memory.max" : "memory.limit_in_bytes"));
        var usage = ReadNumber(Path.Combine(folder, isSecond ? "memory.current" : "memory.usage_in_bytes"));
        if (limit is not (>= 0 and < Unlimited) || usage is null)
        {
            return null;
        }

        // Pages of files on disks are given up for others; those of memory files are not among them.
        var prefix = isSecond ? "" : "total_";
        var reclaimable = 0L;
        foreach (var line in ReadLines(Path.Combine(folder, "memory.stat")))
        {
            var fields = line.Split(' ');
            if (fields.Length == 2 && (fields[0] == prefix + "inactive_file" || fields[0] == prefix + "active_file")
                && long.TryParse(fields[1], CultureInfo.InvariantCulture, out var bytes))
            {
                reclaimable += bytes;
            }
        }

        return Math.Clamp(limit.Value - usage.Value + reclaimable, 0, limit.Value);
    }

    private static long? ReadNumber(string path) =>
        ReadLines(path) is [var line, ..] && long.TryParse(line.Trim(), CultureInfo.InvariantCulture, out var number) ? number : null;

    private static string[] ReadLines(string path)
    {
        try
        {
            return File.Exists(path) ? File.ReadAllLines(path) : [];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }
}
