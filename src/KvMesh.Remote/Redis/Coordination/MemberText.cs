using System.Buffers.Text;
using KvMesh.Cluster.Membership;

namespace KvMesh.Remote.Redis.Coordination;

/// <summary>A member as Redis keeps it: <c>incarnation|owner|left|since|record</c>.</summary>
internal sealed record MemberText(NodeRecord Record, bool HasLeft, DateTimeOffset Since)
{
    /// <summary>The member, or null when the text is none: another program wrote it.</summary>
    /// <param name="text">UTF-8. A node that joins reads one for each member, so that it is taken apart where it lies.</param>
    public static MemberText? Read(ReadOnlySpan<byte> text)
    {
        return Next(ref text) is { } incarnation && TryPass(ref text, out _) && TryPass(ref text, out var left) && Next(ref text) is { } since
            && NodeRecordJson.TryRead(text) is { } record
                ? new MemberText(record with { Incarnation = incarnation }, left is [(byte)'1'], DateTimeOffset.FromUnixTimeMilliseconds(since))
                : null;
    }

    public IdHolder Holder(long beat) => new(Record, new HolderMark(Record.Incarnation, beat), Since);

    private static long? Next(ref ReadOnlySpan<byte> text) =>
        TryPass(ref text, out var field) && Utf8Parser.TryParse(field, out long number, out var length) && length == field.Length && number >= 0 ? number : null;

    private static bool TryPass(ref ReadOnlySpan<byte> text, out ReadOnlySpan<byte> field)
    {
        var end = text.IndexOf((byte)'|');
        field = end < 0 ? default : text[..end];
        text = end < 0 ? default : text[(end + 1)..];
        return end >= 0;
    }
}

/// <summary>Where the state of a cluster lies in Redis.</summary>
internal static class ClusterKeys
{
    /// <summary>Begins every key of what a cluster coordinates; the braces put them into one hash slot.</summary>
    public static string Prefix(string cluster) => $"kvmesh:{{{cluster}}}:";
}
