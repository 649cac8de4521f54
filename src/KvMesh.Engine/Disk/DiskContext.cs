using Microsoft.Extensions.Logging;

namespace KvMesh.Engine.Disk;

/// <summary>What all parts of one disk tier share.</summary>
internal sealed record DiskContext(
    DiskOptions Options, Guid Store, IBlockFileSystem Files, TimeProvider Time, ILogger Logger, DiskCounters Counters) : IDisposable
{
    public GranulePool Headers { get; } = new();

    /// <summary>Set when the maintenance thread has something to do before its next turn. Never disposed: a timer's last turn may come late.</summary>
    public AutoResetEvent Wake { get; } = new(false);

    public void Dispose() => Headers.Dispose();
}

/// <summary>Names of the files in the folder.</summary>
internal static class DiskFileNames
{
    public const string Unfinished = ".tmp";
    private const string SegmentPrefix = "segment-";
    private const string SegmentSuffix = ".kvm";
    private const string ListSuffix = ".list";
    private const string LogPrefix = "removals-";
    private const string LogSuffix = ".log";

    public static string Segment(int number) => $"{SegmentPrefix}{number:D8}{SegmentSuffix}";

    public static string List(int number) => $"{SegmentPrefix}{number:D8}{ListSuffix}";

    public static string Log(int number) => $"{LogPrefix}{number:D8}{LogSuffix}";

    public static bool TryParseSegment(string name, out int number) => TryParse(name, SegmentPrefix, SegmentSuffix, out number);

    public static bool TryParseList(string name, out int number) => TryParse(name, SegmentPrefix, ListSuffix, out number);

    public static bool TryParseLog(string name, out int number) => TryParse(name, LogPrefix, LogSuffix, out number);

    private static bool TryParse(string name, string prefix, string suffix, out int number)
    {
        number = 0;
        return name.StartsWith(prefix, StringComparison.Ordinal) && name.EndsWith(suffix, StringComparison.Ordinal)
            && name.Length >= prefix.Length + suffix.Length
            && int.TryParse(name.AsSpan(prefix.Length, name.Length - prefix.Length - suffix.Length), out number) && number > 0;
    }
}
