using KvMesh.Gateway.Resp.Commands;
using KvMesh.TestKit;

namespace KvMesh.Gateway.Tests.Resp;

/// <summary>Patterns of KEYS and SCAN mean what they mean to Redis, and never take longer than pattern times text.</summary>
public sealed class GlobPatternTests
{
    private static readonly byte[] Alphabet = "ab-]^*?[\\"u8.ToArray();

    [Theory]
    [InlineData("h?llo", "hello", true)]
    [InlineData("h[ae]llo", "hillo", false)]
    [InlineData("h[^e]llo", "hallo", true)]
    [InlineData("h[a-b]llo", "hbllo", true)]
    [InlineData("h[b-a]llo", "hallo", true)]
    [InlineData("*", "", true)]
    [InlineData("", "a", false)]
    [InlineData("a\\*", "a*", true)]
    [InlineData("a\\*", "ab", false)]
    [InlineData("*a*b*", "xxaxxbxx", true)]
    [InlineData("*a*b", "xxaxxbxx", false)]
    public void Means_what_redis_means(string pattern, string text, bool expected) =>
        Assert.Equal(expected, GlobPattern.Matches(System.Text.Encoding.Latin1.GetBytes(pattern), System.Text.Encoding.Latin1.GetBytes(text)));

    [Fact]
    public void Agrees_with_a_walk_over_all_ways_to_match() => Fuzz.Run(60_000, random =>
    {
        var pattern = Bytes(random, 8);
        var text = Bytes(random, 8);
        var expected = Walk(pattern, text);
        Assert.True(
            expected == GlobPattern.Matches(pattern, text),
            $"pattern '{System.Text.Encoding.Latin1.GetString(pattern)}' on '{System.Text.Encoding.Latin1.GetString(text)}' is not {expected}");
    });

    [Fact]
    public void Many_stars_do_not_multiply()
    {
        // A matcher that tries every star again takes 2^64 steps here.
        var pattern = Enumerable.Repeat("*a"u8.ToArray(), 64).SelectMany(part => part).Append((byte)'b').ToArray();
        Assert.False(GlobPattern.Matches(pattern, Enumerable.Repeat((byte)'a', 1024).ToArray()));
    }

    private static byte[] Bytes(Random random, int most) => [.. Enumerable.Range(0, random.Next(most)).Select(_ => Alphabet[random.Next(Alphabet.Length)])];

    /// <summary>The same, one element at a time, with every way a star can go.</summary>
    private static bool Walk(ReadOnlySpan<byte> pattern, ReadOnlySpan<byte> text)
    {
        if (pattern.IsEmpty)
        {
            return text.IsEmpty;
        }

        if (pattern[0] == '*')
        {
            for (var taken = 0; taken <= text.Length; taken++)
            {
                if (Walk(pattern[1..], text[taken..]))
                {
                    return true;
                }
            }

            return false;
        }

        return !text.IsEmpty && Element(pattern, text[0], out var length) && Walk(pattern[length..], text[1..]);
    }

    /// <summary>Whether the first element takes this byte, and how long the element is.</summary>
    private static bool Element(ReadOnlySpan<byte> pattern, byte value, out int length)
    {
        length = 1;
        if (pattern[0] == '\\' && pattern.Length > 1)
        {
            length = 2;
            return pattern[1] == value;
        }

        return pattern[0] switch
        {
            (byte)'?' => true,
            (byte)'[' => Class(pattern, value, out length),
            var literal => literal == value,
        };
    }

    private static bool Class(ReadOnlySpan<byte> pattern, byte value, out int length)
    {
        var members = new HashSet<byte>();
        var isNegated = pattern.Length > 1 && pattern[1] == '^';
        length = isNegated ? 2 : 1;
        while (length < pattern.Length && pattern[length] != ']')
        {
            if (pattern[length] == '\\' && length + 1 < pattern.Length)
            {
                members.Add(pattern[length + 1]);
                length += 2;
            }
            else if (length + 2 < pattern.Length && pattern[length + 1] == '-')
            {
                for (int member = Math.Min(pattern[length], pattern[length + 2]); member <= Math.Max(pattern[length], pattern[length + 2]); member++)
                {
                    members.Add((byte)member);
                }

                length += 3;
            }
            else
            {
                members.Add(pattern[length++]);
            }
        }

        length = Math.Min(length + 1, pattern.Length);
        return members.Contains(value) != isNegated;
    }
}
