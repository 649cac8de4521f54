using System.Globalization;
using System.Text;

namespace KvMesh.Worker.Model.Text;

/// <summary>Cuts a text into words by a <see cref="WordPattern"/>. Every character is in one word. The text is whole UTF-16.</summary>
internal ref struct WordScanner
{
    private static readonly string[] Endings = ["s", "t", "re", "ve", "m", "ll", "d"];

    private readonly ReadOnlySpan<char> _text;
    private readonly WordPattern _pattern;
    private int _start;

    public WordScanner(ReadOnlySpan<char> text, WordPattern pattern)
    {
        _text = text;
        _pattern = pattern;
    }

    private enum Kind
    {
        End,
        Letter,
        Digit,
        Space,
        Other,
    }

    public bool TryNext(out ReadOnlySpan<char> word)
    {
        if (_start == _text.Length)
        {
            word = default;
            return false;
        }

        var end = _pattern.IsGpt2 ? EndOfGpt2Word() : EndOfWord();
        word = _text[_start..end];
        _start = end;
        return true;
    }

    private readonly int EndOfGpt2Word()
    {
        var end = EndOfEnding(ignoresCase: false);
        if (end > 0)
        {
            return end;
        }

        var first = KindAt(_start, out var next);
        if (first == Kind.Space)
        {
            var second = _text[_start] == ' ' ? KindAt(next, out _) : Kind.End;
            return second is Kind.End or Kind.Space ? EndOfSpaces() : EndOfRun(next, second);
        }

        return EndOfRun(_start, first);
    }

    private readonly int EndOfWord()
    {
        var end = EndOfEnding(ignoresCase: true);
        if (end > 0)
        {
            return end;
        }

        var first = KindAt(_start, out var next);
        if (first == Kind.Letter)
        {
            return EndOfRun(_start, Kind.Letter);
        }

        if (first == Kind.Digit)
        {
            return EndOfRun(_start, Kind.Digit, _pattern.MaxDigits);
        }

        var second = KindAt(next, out _);
        if (second == Kind.Letter && !IsLineEnd(_start))
        {
            return EndOfRun(next, Kind.Letter);
        }

        if (first == Kind.Other || (_text[_start] == ' ' && second == Kind.Other))
        {
            end = EndOfRun(first == Kind.Other ? _start : next, Kind.Other);
            while (end < _text.Length && IsLineEnd(end))
            {
                end++;
            }

            return end;
        }

        return EndOfLines() is var lines and > 0 ? lines : EndOfSpaces();
    }

    /// <summary>The end of an English ending with its apostrophe; 0 when there is none.</summary>
    private readonly int EndOfEnding(bool ignoresCase)
    {
        if (_text[_start] != '\'')
        {
            return 0;
        }

        var rest = _text[(_start + 1)..];
        foreach (var ending in Endings)
        {
            if (rest.Length >= ending.Length && Matches(rest, ending, ignoresCase))
            {
                return _start + 1 + ending.Length;
            }
        }

        return 0;
    }

    private static bool Matches(ReadOnlySpan<char> text, string ending, bool ignoresCase)
    {
        for (var at = 0; at < ending.Length; at++)
        {
            // The long s is an s when case is ignored.
            var letter = !ignoresCase ? text[at] : text[at] == 'ſ' ? 's' : char.IsAsciiLetterUpper(text[at]) ? (char)(text[at] | 0x20) : text[at];
            if (letter != ending[at])
            {
                return false;
            }
        }

        return true;
    }

    private readonly int EndOfRun(int start, Kind kind, int most = 0)
    {
        var end = start;
        for (var count = 0; (most == 0 || count < most) && KindAt(end, out var next) == kind; count++)
        {
            end = next;
        }

        return end;
    }

    /// <summary>Spaces up to the last end of a line among them; 0 when there is none.</summary>
    private readonly int EndOfLines()
    {
        var end = EndOfRun(_start, Kind.Space);
        while (end > _start && !IsLineEnd(end - 1))
        {
            end--;
        }

        return end > _start ? end : 0;
    }

    /// <summary>All spaces, but the last where a word follows that may take it.</summary>
    private readonly int EndOfSpaces()
    {
        var end = EndOfRun(_start, Kind.Space);
        return end == _text.Length || end == _start + 1 ? end : end - 1;
    }

    private readonly bool IsLineEnd(int at) => _text[at] is '\r' or '\n';

    private readonly Kind KindAt(int at, out int next)
    {
        if (at >= _text.Length)
        {
            next = at;
            return Kind.End;
        }

        Rune.DecodeFromUtf16(_text[at..], out var rune, out var length);
        next = at + length;
        return Rune.GetUnicodeCategory(rune) switch
        {
            <= UnicodeCategory.OtherLetter => Kind.Letter,
            UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber => Kind.Digit,
            _ => Rune.IsWhiteSpace(rune) ? Kind.Space : Kind.Other,
        };
    }
}
