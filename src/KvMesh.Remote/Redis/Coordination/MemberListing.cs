using System.Buffers.Text;
using System.Text;

namespace KvMesh.Remote.Redis.Coordination;

/// <summary>All members as one text: <c>length:bytes</c> of an id, then of a member as <see cref="MemberText"/> reads it, and so on.</summary>
internal static class MemberListing
{
    /// <summary>Ids and members; what follows a part that is none is left out.</summary>
    public static IEnumerable<(string Id, ReadOnlyMemory<byte> Text)> Read(ReadOnlyMemory<byte> listing)
    {
        while (TryNext(ref listing, out var id) && TryNext(ref listing, out var text))
        {
            yield return (Encoding.UTF8.GetString(id.Span), text);
        }
    }

    private static bool TryNext(ref ReadOnlyMemory<byte> rest, out ReadOnlyMemory<byte> part)
    {
        part = default;
        if (!Utf8Parser.TryParse(rest.Span, out int length, out var digits) || length < 0 || digits >= rest.Length || rest.Span[digits] != (byte)':'
            || length > rest.Length - digits - 1)
        {
            return false;
        }

        part = rest.Slice(digits + 1, length);
        rest = rest[(digits + 1 + length)..];
        return true;
    }
}
