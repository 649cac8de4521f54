using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using KvMesh.Protocol.Arena;
using Microsoft.Extensions.Logging;

namespace KvMesh.Engine.Arena;

/// <summary>Names arena files after the identity of their data directory, and removes those whose owner is gone for good.</summary>
internal static partial class ArenaFiles
{
    private const string Prefix = "kvmesh-";
    private const string Suffix = ".arena";

    /// <summary>Number of the mount namespace of this process; 0 where that is not told.</summary>
    public static ulong MountNamespace { get; } = ReadMountNamespace();

    /// <summary>
    /// Path of one isolation group's arena. It follows the data directory and not its path, which may be the same in two containers.
    /// </summary>
    /// <param name="store">Identity of the data directory.</param>
    public static string PathOf(string arenaDirectory, Guid store, string isolationGroup)
    {
        var group = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(isolationGroup)).AsSpan(0, 4));
        return Path.Combine(arenaDirectory, $"{Prefix}{store:n}-{group}{Suffix}");
    }

    /// <summary>
    /// Removes arenas that nobody adopts and that no process has locked: those of this data directory that the configuration names no more, and those of
    /// directories that are gone, of which one that was made anew at its path is one. What was made in another mount namespace stays: its directory is not for this
    /// process to see, and the same path is another directory there.
    /// </summary>
    /// <param name="ownPaths">The arenas that this process is about to open.</param>
    public static void RemoveAbandoned(string arenaDirectory, DataDirectory owner, IReadOnlyCollection<string> ownPaths, ILogger logger)
    {
        foreach (var path in Directory.EnumerateFiles(arenaDirectory, Prefix + "*" + Suffix).Except(ownPaths, StringComparer.Ordinal))
        {
            try
            {
                if (ArenaMapping.TryReadHeader(path, out var header, out var dataDirectory)
                    && (IsOf(owner, path) || IsGone(owner, header, dataDirectory))
                    && !ArenaLock.IsHeld(path))
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

    /// <summary>
    /// Refuses arenas that the memory file system, the machine or a control group cannot hold, before anything is written. What other living nodes
    /// have not touched yet of their arenas in that folder counts as theirs.
    /// </summary>
    /// <param name="wantedBytes">Bytes of the files, with their tables of descriptors.</param>
    /// <exception cref="EngineStartException">There is less room than that.</exception>
    public static void ThrowIfNoRoom(string arenaDirectory, IReadOnlyCollection<string> ownPaths, long wantedBytes, MemoryLimit memory)
    {
        // What an earlier process left is either adopted or removed: the pages it has are ours either way.
        var heldBytes = ownPaths.Where(File.Exists).Sum(FilePages.AllocatedBytes);
        var promisedBytes = UntouchedBytesOfOthers(arenaDirectory, ownPaths);
        var others = promisedBytes > 0 ? $", after {Readable(promisedBytes)} that arenas of other nodes there may still take" : "";
        var fileSystemBytes = new DriveInfo(arenaDirectory).AvailableFreeSpace + heldBytes - promisedBytes;
        if (wantedBytes > fileSystemBytes)
        {
            throw new EngineStartException(
                $"Engine:ArenaBytes asks for {Readable(wantedBytes)} with descriptors, but {arenaDirectory} has room for {Readable(fileSystemBytes)}{others}. "
                + "Lower Engine:ArenaBytes or enlarge that file system.");
        }

        var memoryBytes = memory.AvailableBytes + heldBytes - promisedBytes;
        if (wantedBytes > memoryBytes)
        {
            throw new EngineStartException(
                $"Engine:ArenaBytes asks for {Readable(wantedBytes)} with descriptors, but {memory.Owner} has {Readable(memoryBytes)} of memory available{others}. "
                + "Lower Engine:ArenaBytes or stop what uses the memory.");
        }
    }

    /// <summary>Bytes of memory of the machine, or of the control group that limits this process.</summary>
    public static long MachineMemoryBytes() => GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;

    private static long UntouchedBytesOfOthers(string arenaDirectory, IReadOnlyCollection<string> ownPaths)
    {
        var bytes = 0L;
        foreach (var path in Directory.EnumerateFiles(arenaDirectory, Prefix + "*" + Suffix).Except(ownPaths, StringComparer.Ordinal))
        {
            try
            {
                if (ArenaLock.IsHeld(path))
                {
                    bytes += Math.Max(new FileInfo(path).Length - FilePages.AllocatedBytes(path), 0);
                }
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                // It went meanwhile, or is another user's: what it has not touched is not known.
            }
        }

        return bytes;
    }

    private static bool IsOf(DataDirectory owner, string path) => Path.GetFileName(path).StartsWith($"{Prefix}{owner.Store:n}-", StringComparison.Ordinal);

    /// <summary>
    /// Numbers of namespaces are given again, so that a container may have the number of one that crashed and is about to come back: a directory at the same path
    /// may be that one's. Only one that was made just now cannot be.
    /// </summary>
    private static bool IsGone(DataDirectory owner, in ArenaHeader header, string dataDirectory) =>
        header.MountNamespace != 0 && header.MountNamespace == MountNamespace
        && (dataDirectory == owner.Path ? owner.IsNew : !Directory.Exists(dataDirectory));

    private static ulong ReadMountNamespace()
    {
        // "mnt:[4026531841]"
        var name = File.Exists("/proc/self/ns/mnt") ? new FileInfo("/proc/self/ns/mnt").LinkTarget : null;
        return name is not null && ulong.TryParse(name.AsSpan(name.IndexOf('[') + 1).TrimEnd(']'), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0;
    }

    private static string Readable(long bytes) =>
        bytes < 0 ? "nothing" : bytes >= 1L << 30 ? $"{bytes / (double)(1L << 30):0.00} GiB" : $"{bytes / (double)(1 << 20):0.0} MiB";

    private static partial class Log
    {
        [LoggerMessage(1001, LogLevel.Information, "Removed arena {Path}: its data directory {DataDirectory} is gone, or has no tenant for it any more")]
        public static partial void RemovedAbandonedArena(ILogger logger, string path, string dataDirectory);

        [LoggerMessage(1002, LogLevel.Debug, "Left arena {Path} alone: {Reason}")]
        public static partial void SkippedArena(ILogger logger, string path, string reason);
    }
}
