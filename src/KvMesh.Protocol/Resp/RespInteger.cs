using System.Buffers.Text;

namespace KvMesh.Protocol.Resp;

/// <summary>Numbers in text as Redis reads them: no sign but a minus, no leading zeros, no spaces.</summary>
public static class RespInteger
{
    /// <summary>Longest text of a 64-bit number: a minus and 19 digits.</summary>
    public const int MaxTextBytes = 20;

    public static bool TryParse(ReadOnlySpan<byte> text, out long value)
    {
        value = 0;
        if (text.Length is 0 or > MaxTextBytes)
        {
            return false;
        }

        var digits = text[0] == (byte)'-' ? text[1..] : text;
        if (digits.IsEmpty || (digits[0] == (byte)'0' && text.Length > 1) || !char.IsAsciiDigit((char)digits[0]))
        {
            return false;
        }

        return Utf8Parser.TryParse(text, out value, out var used) && used == text.Length;
    }
}
