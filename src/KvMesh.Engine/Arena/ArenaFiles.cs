using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Logging;

namespace KvMesh.Engine.Arena;

/// <summary>Names arena files after their data directory, and removes those whose owner is gone for good.</summary>
internal static partial class ArenaFiles
{
    private const string Prefix = "kvmesh-";
    private const string Suffix = ".arena";

    /// <summary>Path of one isolation group's arena: the same for every process that opens the same data directory.</summary>
    public static string PathOf(string arenaDirectory, string dataDirectory, string isolationGroup)
    {
        var owner = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(dataDirectory)).AsSpan(0, 8));
        var group = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(isolationGroup)).AsSpan(0, 4));
        return Path.Combine(arenaDirectory, $"{Prefix}{owner}-{group}{Suffix}");
    }

    /// <summary>Removes arenas that nobody can adopt: their data directory is gone and so is the process that owned them.</summary>
    public static void RemoveAbandoned(string arenaDirectory, ILogger logger)
    {
        foreach (var path in Directory.EnumerateFiles(arenaDirectory, Prefix + "*" + Suffix))
        {
            try
            {
                if (ArenaMapping.TryReadHeader(path, out var header, out var dataDirectory)
                    && !Directory.Exists(dataDirectory)
                    && !IsAlive(header.OwnerProcessId))
                {
                    File.Delete(path);
                    Log.RemovedAbandonedArena(logger, path, dataDirectory);
                }
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                // Another user's arena, or one that another process is just removing: not ours to judge.
                Log.SkippedArena(logger, path, exception.Message);
            }
        }
    }

    /// <summary>Refuses arenas that the memory file system or the machine cannot hold, before anything is written.</summary>
    /// <exception cref="EngineStartException">There is less room than <paramref name="wantedBytes"/>.</exception>
    public static void ThrowIfNoRoom(string arenaDirectory, IEnumerable<string> ownPaths, long wantedBytes)
    {
        // What an earlier process left is either adopted or removed: its room is ours either way.
        var heldBytes = ownPaths.Where(File.Exists).Sum(path => new FileInfo(path).Length);
        var fileSystemBytes = new DriveInfo(arenaDirectory).AvailableFreeSpace + heldBytes;
        if (wantedBytes > fileSystemBytes)
        {
            throw new EngineStartException(
                $"Engine:ArenaBytes asks for {Readable(wantedBytes)}, but {arenaDirectory} has room for {Readable(fileSystemBytes)}. "
                + "Lower Engine:ArenaBytes or enlarge that file system.");
        }

        var memoryBytes = AvailableMemoryBytes() + heldBytes;
        if (wantedBytes > memoryBytes)
        {
            throw new EngineStartException(
                $"Engine:ArenaBytes asks for {Readable(wantedBytes)}, but the machine has {Readable(memoryBytes)} of memory available. "
                + "Lower Engine:ArenaBytes or stop what uses the memory.");
        }
    }

    /// <summary>Bytes of memory of the machine, or of the control group that limits this process.</summary>
    public static long MachineMemoryBytes() => GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;

    private static long AvailableMemoryBytes()
    {
        const string Label = "MemAvailable:";
        foreach (var line in File.ReadLines("/proc/meminfo"))
        {
            if (line.StartsWith(Label, StringComparison.Ordinal))
            {
                return long.Parse(line.AsSpan(Label.Length).TrimEnd(" kB").Trim()) * 1024;
            }
        }

        return MachineMemoryBytes();
    }

    private static bool IsAlive(int processId) => processId != 0 && Directory.Exists($"/proc/{processId}");

    private static string Readable(long bytes) =>
        bytes >= 1L << 30 ? $"{bytes / (double)(1L << 30):0.00} GiB" : $"{bytes / (double)(1 << 20):0.0} MiB";

    private static partial class Log
    {
        [LoggerMessage(1001, LogLevel.Information, "Removed arena {Path}: its data directory {DataDirectory} is gone")]
        public static partial void RemovedAbandonedArena(ILogger logger, string path, string dataDirectory);

        [LoggerMessage(1002, LogLevel.Debug, "Left arena {Path} alone: {Reason}")]
        public static partial void SkippedArena(ILogger logger, string path, string reason);
    }
}
