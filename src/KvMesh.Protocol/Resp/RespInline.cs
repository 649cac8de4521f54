namespace KvMesh.Protocol.Resp;

/// <summary>
/// Splits an inline command into arguments as Redis does: words, "double quotes" with \xHH and C escapes, 'single quotes' with \'.
/// A closing quote must be followed by a space or the end.
/// </summary>
internal static class RespInline
{
    /// <summary>
    /// Writes the arguments' bytes to <paramref name="text"/>, which is at least as long as the line, and their places through
    /// <paramref name="scanner"/>. False when the quotes do not balance.
    /// </summary>
    public static bool TrySplit(ReadOnlySpan<byte> line, Span<byte> text, RespScanner scanner)
    {
        var end = line.IndexOf((byte)0);
        line = end < 0 ? line : line[..end];
        var written = 0;
        while (true)
        {
            line = line.TrimStart(" \t\n\r\v\f"u8);
            if (line.IsEmpty)
            {
                return true;
            }

            var start = written;
            if (!TryTakeWord(ref line, text, ref written))
            {
                return false;
            }

            scanner.Add(new RespArgument(start, written - start));
        }
    }

    private static bool TryTakeWord(ref ReadOnlySpan<byte> line, Span<byte> text, ref int written)
    {
        while (!line.IsEmpty && !IsSpace(line[0]))
        {
            var first = line[0];
            line = line[1..];
            if (first is (byte)'"' or (byte)'\'')
            {
                // A quote closes its argument, wherever in the word it opened.
                return TryTakeQuoted(first, ref line, text, ref written) && (line.IsEmpty || IsSpace(line[0]));
            }

            text[written++] = first;
        }

        return true;
    }

    private static bool TryTakeQuoted(byte quote, ref ReadOnlySpan<byte> line, Span<byte> text, ref int written)
    {
        while (!line.IsEmpty)
        {
            var next = line[0];
            if (next == quote)
            {
                line = line[1..];
                return true;
            }

            var used = 1;
            text[written++] = quote == (byte)'"' ? Unescape(line, ref used) : UnescapeSingle(line, ref used);
            line = line[used..];
        }

        return false;
    }

    private static byte UnescapeSingle(ReadOnlySpan<byte> line, ref int used)
    {
        if (line.Length > 1 && line[0] == (byte)'\\' && line[1] == (byte)'\'')
        {
            used = 2;
            return (byte)'\'';
        }

        return line[0];
    }

    private static byte Unescape(ReadOnlySpan<byte> line, ref int used)
    {
        if (line[0] != (byte)'\\' || line.Length < 2)
        {
            return line[0];
        }

        if (line[1] == (byte)'x' && line.Length > 3 && char.IsAsciiHexDigit((char)line[2]) && char.IsAsciiHexDigit((char)line[3]))
        {
            used = 4;
            return (byte)((HexValue(line[2]) << 4) | HexValue(line[3]));
        }

        used = 2;
        return line[1] switch
        {
            (byte)'n' => (byte)'\n',
            (byte)'r' => (byte)'\r',
            (byte)'t' => (byte)'\t',
            (byte)'b' => (byte)'\b',
            (byte)'a' => (byte)'\a',
            var other => other,
        };
    }

    private static int HexValue(byte digit) => digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10;

    private static bool IsSpace(byte value) => value is (byte)' ' or (>= 9 and <= 13);
}
