namespace KvMesh.Worker.Model.Text;

/// <summary>A token that is found in a text before it is cut into words.</summary>
/// <param name="Id">Its number.</param>
/// <param name="Content">Its text.</param>
/// <param name="IsSpecial">Whether it is no text, but a mark, as the begin of one.</param>
/// <param name="TakesLeft">Whether it takes the spaces before it.</param>
/// <param name="TakesRight">Whether it takes the spaces behind it.</param>
public sealed record AddedToken(int Id, string Content, bool IsSpecial, bool TakesLeft, bool TakesRight);

/// <summary>Finds added tokens: the leftmost, and the longest of those that begin there.</summary>
internal sealed class AddedTokenSearch
{
    private readonly Dictionary<char, AddedToken[]> _byFirst;
    private readonly System.Buffers.SearchValues<char> _firsts;

    public AddedTokenSearch(IEnumerable<AddedToken> tokens)
    {
        _byFirst = tokens.GroupBy(token => token.Content[0]).ToDictionary(group => group.Key, group => group.OrderByDescending(token => token.Content.Length).ToArray());
        _firsts = System.Buffers.SearchValues.Create([.. _byFirst.Keys]);
    }

    /// <summary>The next token of a text from a place on; null when there is none.</summary>
    public AddedToken? Find(ReadOnlySpan<char> text, int from, out int at)
    {
        for (at = from; at < text.Length; at++)
        {
            var step = text[at..].IndexOfAny(_firsts);
            if (step < 0)
            {
                return null;
            }

            at += step;
            foreach (var token in _byFirst[text[at]])
            {
                if (text[at..].StartsWith(token.Content, StringComparison.Ordinal))
                {
                    return token;
                }
            }
        }

        return null;
    }
}
