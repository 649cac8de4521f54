using System.Globalization;
using KvMesh.Dashboard.Feed;
using KvMesh.Protocol.Admin;
using Microsoft.AspNetCore.Http;

namespace KvMesh.Dashboard.Capacity;

/// <summary>Addresses of the page of capacity, and the fields in them: RAM and disk in GiB, as people write them.</summary>
internal static class CapacityLinks
{
    public const string Path = "/capacity";

    private const double Gibibyte = 1L << 30;

    public static string Address => DashboardExtensions.BasePath + Path;

    public static string Of(CapacityChange change) => Address + QueryOf(change);

    /// <summary>The fields of a change, with the question mark; empty for none.</summary>
    public static string QueryOf(CapacityChange change) => change == CapacityChange.None
        ? ""
        : $"?ram={GibibytesOf(change.MoreHostBytes)}&disk={GibibytesOf(change.MoreDiskBytes)}&codec={change.CodecRatio.ToString(CultureInfo.InvariantCulture)}";

    /// <summary>What a request asks for; a field that is absent, or outside of what a node takes, changes nothing.</summary>
    public static CapacityChange ChangeOf(IQueryCollection query) => new(
        (long)Math.Round(Field(query, "ram", 0, AdviceLimits.MaxMoreBytes / Gibibyte, 0) * Gibibyte),
        (long)Math.Round(Field(query, "disk", 0, AdviceLimits.MaxMoreBytes / Gibibyte, 0) * Gibibyte),
        Math.Round(Field(query, "codec", 1, AdviceLimits.MaxCodecRatio, 1), 2));

    /// <summary>Exact, so that the same number comes back.</summary>
    public static string GibibytesOf(long bytes) => (bytes / Gibibyte).ToString(CultureInfo.InvariantCulture);

    private static double Field(IQueryCollection query, string name, double min, double max, double otherwise) =>
        double.TryParse(query[name], NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent, CultureInfo.InvariantCulture, out var value) && value >= min && value <= max
            ? value
            : otherwise;
}
