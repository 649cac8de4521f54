using Microsoft.Extensions.Logging;

namespace KvMesh.Engine.Disk;

/// <summary>What the disk tier says. Never inside a loop over blocks.</summary>
internal static partial class DiskLog
{
    [LoggerMessage(1031, LogLevel.Information, "Disk tier in {Directory}: {Segments} segments, {Records} records recovered in {Elapsed}, direct I/O {IsDirect}.")]
    public static partial void Opened(ILogger logger, string directory, int segments, long records, TimeSpan elapsed, bool isDirect);

    [LoggerMessage(1032, LogLevel.Warning, "{Name} was set aside as {Aside}: {Reason}.")]
    public static partial void SetAside(ILogger logger, string name, string aside, string reason);

    [LoggerMessage(1033, LogLevel.Warning, "{Name} ends at offset {Offset} with a record that is not complete; what follows was cut.")]
    public static partial void TornTail(ILogger logger, string name, long offset);

    [LoggerMessage(1034, LogLevel.Warning, "The log of removals is not whole: blocks of replaceable keys are not recovered from disk.")]
    public static partial void RemovalsUnknown(ILogger logger);

    [LoggerMessage(1035, LogLevel.Warning, "Syncing the disk tier failed; what was written lately may not survive a loss of power.")]
    public static partial void SyncFailed(ILogger logger);

    [LoggerMessage(1036, LogLevel.Error, "Disk maintenance ended; nothing is reclaimed or synced any more.")]
    public static partial void MaintenanceEnded(ILogger logger, Exception failure);
}
