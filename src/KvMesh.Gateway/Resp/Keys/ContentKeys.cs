using System.Text;
using System.Text.RegularExpressions;
using KvMesh.Protocol;
using KvMesh.Protocol.Keys;

namespace KvMesh.Gateway.Resp.Keys;

/// <summary>
/// Tells the keys that name content from all others, by the patterns of the options. The built-in grammar is parsed by hand;
/// further patterns run in linear time and are tried in order after it.
/// </summary>
internal sealed class ContentKeys
{
    private readonly bool _hasLmcache;
    private readonly Regex[] _patterns;

    public ContentKeys(IEnumerable<string> patterns)
    {
        var all = patterns.ToArray();
        _hasLmcache = all.Length == 0 || all.Contains(RespOptions.LmcachePattern, StringComparer.OrdinalIgnoreCase);
        _patterns = [.. all.Where(pattern => !pattern.Equals(RespOptions.LmcachePattern, StringComparison.OrdinalIgnoreCase)).Select(Compile)];
    }

    public bool TryParse(ReadOnlySpan<byte> key, out ContentKey parsed)
    {
        if (_hasLmcache && LmcacheKey.TryParse(key, out var lmcache))
        {
            parsed = new ContentKey(lmcache.Model, lmcache.Hash, lmcache.BaseBytes, lmcache.Half);
            return true;
        }

        parsed = default;
        return _patterns.Length > 0 && key.Length <= Limits.MaxKeyBytes && TryMatch(key, out parsed);
    }

    private bool TryMatch(ReadOnlySpan<byte> key, out ContentKey parsed)
    {
        var text = Encoding.Latin1.GetString(key);
        foreach (var pattern in _patterns)
        {
            var match = pattern.Match(text);
            if (match.Success && match.Length == text.Length)
            {
                parsed = new ContentKey(RangeOf(match.Groups["model"]), RangeOf(match.Groups["hash"]), key.Length, LmcacheHalf.Whole);
                return true;
            }
        }

        parsed = default;
        return false;
    }

    private static Range RangeOf(Group group) => group.Success ? group.Index..(group.Index + group.Length) : 0..0;

    private static Regex Compile(string pattern)
    {
        try
        {
            return new Regex(pattern, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant | RegexOptions.Singleline);
        }
        catch (Exception error) when (error is ArgumentException or NotSupportedException)
        {
            throw new ArgumentException($"ContentKeyPatterns: '{pattern}' is not a regular expression that runs in linear time: {error.Message}", error);
        }
    }
}
