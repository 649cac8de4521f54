using System.Text;

namespace KvMesh.Worker.Front;

/// <summary>
/// Lets text through until one of some texts stands in it. What could be the begin of one is held back until it is known that it is none. The one that
/// ends first ends the text, of several the longest: where the text was cut into pieces makes no difference.
/// </summary>
internal sealed class StopSearch(IReadOnlyList<string> stops)
{
    private readonly StringBuilder _held = new();

    /// <summary>Whether a stop was found: nothing follows.</summary>
    public bool IsStopped { get; private set; }

    /// <summary>The text that this piece makes certain.</summary>
    public string Append(string piece)
    {
        if (stops.Count == 0 || IsStopped)
        {
            return IsStopped ? "" : piece;
        }

        var text = _held.Append(piece).ToString();
        _held.Clear();
        for (var end = text.Length - piece.Length + 1; end <= text.Length; end++)
        {
            if (LongestEndingAt(text.AsSpan(0, end)) is { } stop)
            {
                IsStopped = true;
                return text[..(end - stop)];
            }
        }

        var held = LongestBegin(text);
        _held.Append(text, text.Length - held, held);
        return text[..^held];
    }

    /// <summary>What was held back, when no more text follows.</summary>
    public string Finish()
    {
        var text = _held.ToString();
        _held.Clear();
        return text;
    }

    private int? LongestEndingAt(ReadOnlySpan<char> text)
    {
        int? longest = null;
        foreach (var stop in stops)
        {
            longest = text.EndsWith(stop, StringComparison.Ordinal) && !(longest >= stop.Length) ? stop.Length : longest;
        }

        return longest;
    }

    /// <summary>Characters at the end that a stop begins with.</summary>
    private int LongestBegin(string text)
    {
        var longest = 0;
        foreach (var stop in stops)
        {
            for (var count = Math.Min(stop.Length - 1, text.Length); count > longest; count--)
            {
                if (text.AsSpan(text.Length - count).SequenceEqual(stop.AsSpan(0, count)))
                {
                    longest = count;
                }
            }
        }

        return longest;
    }
}
