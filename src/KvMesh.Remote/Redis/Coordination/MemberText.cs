using System.Globalization;
using KvMesh.Cluster.Membership;

namespace KvMesh.Remote.Redis.Coordination;

/// <summary>A member as Redis keeps it: <c>incarnation|owner|left|since|record</c>.</summary>
internal sealed record MemberText(NodeRecord Record, bool HasLeft, DateTimeOffset Since)
{
    /// <summary>The member, or null when the text is none: another program wrote it.</summary>
    public static MemberText? Read(string? text)
    {
        var parts = (text ?? "").Split('|', 5);
        return parts.Length == 5
            && long.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out var incarnation)
            && long.TryParse(parts[3], NumberStyles.None, CultureInfo.InvariantCulture, out var since)
            && NodeRecordJson.TryRead(parts[4]) is { } record
                ? new MemberText(record with { Incarnation = incarnation }, parts[2] == "1", DateTimeOffset.FromUnixTimeMilliseconds(since))
                : null;
    }

    public IdHolder Holder(long beat) => new(Record, new HolderMark(Record.Incarnation, beat), Since);
}

/// <summary>Where the state of a cluster lies in Redis.</summary>
internal static class ClusterKeys
{
    /// <summary>Begins every key of what a cluster coordinates; the braces put them into one hash slot.</summary>
    public static string Prefix(string cluster) => $"kvmesh:{{{cluster}}}:";
}
