using System.Collections.Concurrent;

namespace KvMesh.Remote.Redis.Coordination;

/// <summary>
/// What was last read of each member, and the text of it: who reads everything again takes apart only what is another text than before. Any thread;
/// members of one process may share it. It holds as many members as the cluster has.
/// </summary>
public sealed class MemberTexts
{
    private readonly ConcurrentDictionary<string, Known> _known = new(StringComparer.Ordinal);

    /// <summary>The member, or null when the text is none.</summary>
    internal MemberText? Read(string id, ReadOnlySpan<byte> text)
    {
        if (_known.TryGetValue(id, out var known) && text.SequenceEqual(known.Text))
        {
            return known.Member;
        }

        if (MemberText.Read(text) is { } member)
        {
            _known[id] = new Known(text.ToArray(), member);
            return member;
        }

        _known.TryRemove(id, out _);
        return null;
    }

    private sealed record Known(byte[] Text, MemberText Member);
}
