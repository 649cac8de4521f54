namespace KvMesh.Gateway.Resp.Commands;

/// <summary>Redis' glob patterns: <c>* ? [a-z] [^a] \x</c>, over bytes. Time is at most pattern × text, whatever the pattern.</summary>
internal static class GlobPattern
{
    public static bool Matches(ReadOnlySpan<byte> pattern, ReadOnlySpan<byte> text)
    {
        // On a mismatch only the last star needs to take one byte more; earlier ones can keep what they have.
        var p = 0;
        var t = 0;
        var starAt = -1;
        var starText = 0;
        while (t < text.Length)
        {
            if (p < pattern.Length && pattern[p] == (byte)'*')
            {
                starAt = p++;
                starText = t;
            }
            else if (p < pattern.Length && MatchesOne(pattern, ref p, text[t]))
            {
                t++;
            }
            else if (starAt >= 0)
            {
                p = starAt + 1;
                t = ++starText;
            }
            else
            {
                return false;
            }
        }

        return pattern[p..].IndexOfAnyExcept((byte)'*') < 0;
    }

    /// <summary>Moves behind the element at <paramref name="p"/> when it matches.</summary>
    private static bool MatchesOne(ReadOnlySpan<byte> pattern, ref int p, byte value)
    {
        switch (pattern[p])
        {
            case (byte)'?':
                p++;
                return true;
            case (byte)'[':
                return MatchesClass(pattern, ref p, value);
            case (byte)'\\' when p + 1 < pattern.Length:
                return MatchesByte(pattern[p + 1], value, ref p, 2);
            default:
                return MatchesByte(pattern[p], value, ref p, 1);
        }
    }

    private static bool MatchesByte(byte wanted, byte value, ref int p, int length)
    {
        p += wanted == value ? length : 0;
        return wanted == value;
    }

    private static bool MatchesClass(ReadOnlySpan<byte> pattern, ref int p, byte value)
    {
        var at = p + 1;
        var isNegated = at < pattern.Length && pattern[at] == (byte)'^';
        at += isNegated ? 1 : 0;
        var isFound = false;
        for (; at < pattern.Length && pattern[at] != (byte)']'; at++)
        {
            if (pattern[at] == (byte)'\\' && at + 1 < pattern.Length)
            {
                at++;
                isFound |= pattern[at] == value;
            }
            else if (at + 2 < pattern.Length && pattern[at + 1] == (byte)'-')
            {
                var (low, high) = (Math.Min(pattern[at], pattern[at + 2]), Math.Max(pattern[at], pattern[at + 2]));
                isFound |= value >= low && value <= high;
                at += 2;
            }
            else
            {
                isFound |= pattern[at] == value;
            }
        }

        if (isFound == isNegated)
        {
            return false;
        }

        p = Math.Min(at + 1, pattern.Length);
        return true;
    }
}
