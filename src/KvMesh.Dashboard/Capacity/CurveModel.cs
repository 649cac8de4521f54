using KvMesh.Dashboard.Board;
using KvMesh.Protocol.Admin;

namespace KvMesh.Dashboard.Capacity;

/// <summary>A size on a curve that has a name.</summary>
/// <param name="Tone">Name of its colour in the style sheet.</param>
/// <param name="At">How far from the left of the curve, 0 to 1.</param>
public sealed record CurveMark(string Name, string Tone, double At);

/// <summary>What is missed with RAM and disk of any size: a line over sizes that rise by equal factors.</summary>
/// <param name="Misses">Share that is missed at each size; none where nothing was asked for.</param>
/// <param name="Sizes">The sizes, as a person reads them.</param>
public sealed record CurveModel(IReadOnlyList<double?> Misses, IReadOnlyList<string> Sizes, IReadOnlyList<CurveMark> Marks)
{
    public bool IsEmpty => Misses.All(share => share is null);

    public static CurveModel From(AdviceStatus advice, AdviceShares shares)
    {
        var marks = new List<CurveMark> { MarkOf("RAM", "host", advice, advice.HostBytes) };
        if (advice.DiskBytes > 0)
        {
            marks.Add(MarkOf("and disk", "disk", advice, advice.HostBytes + advice.DiskBytes));
        }

        if (IsChange(advice))
        {
            marks.Add(MarkOf("then", "write", advice, ThenBytes(advice)));
        }

        return new CurveModel(
            [.. shares.Curve.Select(found => shares.Touches > 0 ? 1 - found : (double?)null)], [.. advice.CurveBytes.Select(bytes => Figures.Bytes(bytes).ToString())], marks);
    }

    public static bool IsChange(AdviceStatus advice) => advice is not { MoreHostBytes: 0, MoreDiskBytes: 0, CodecRatio: 1 };

    /// <summary>Bytes of blocks, as they were sent, that RAM and disk hold after the change.</summary>
    public static double ThenBytes(AdviceStatus advice) => (advice.HostBytes + advice.MoreHostBytes + advice.DiskBytes + advice.MoreDiskBytes) * advice.CodecRatio;

    private static CurveMark MarkOf(string name, string tone, AdviceStatus advice, double bytes)
    {
        double first = advice.CurveBytes[0];
        return new CurveMark(name, tone, Math.Clamp(Math.Log(bytes / first) / Math.Log(advice.CurveBytes[^1] / first), 0, 1));
    }
}
