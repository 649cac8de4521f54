using System.Collections.Concurrent;
using System.Text;

namespace KvMesh.Gateway.Resp.Keys;

/// <summary>
/// One string per model name, so that writing a block makes none. At most <see cref="MaxNames"/>: names come from keys, and a
/// client that invents more gets blocks without a model instead of our memory.
/// </summary>
internal sealed class ModelNames
{
    public const int MaxNames = 1024;

    private const int MaxNameBytes = 255;

    private readonly ConcurrentDictionary<string, string> _names = new(StringComparer.Ordinal);

    public string Of(ReadOnlySpan<byte> name)
    {
        if (name.IsEmpty || name.Length > MaxNameBytes)
        {
            return "";
        }

        Span<char> text = stackalloc char[MaxNameBytes];
        if (!Encoding.UTF8.TryGetChars(name, text, out var length))
        {
            return "";
        }

        var lookup = _names.GetAlternateLookup<ReadOnlySpan<char>>();
        if (lookup.TryGetValue(text[..length], out var known))
        {
            return known;
        }

        var added = text[..length].ToString();
        return _names.Count < MaxNames ? _names.GetOrAdd(added, added) : "";
    }
}
