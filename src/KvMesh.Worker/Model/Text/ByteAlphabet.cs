using System.Text;

namespace KvMesh.Worker.Model.Text;

/// <summary>
/// The letters in which byte-level vocabularies write bytes: the printable ones of Latin-1 stand for themselves, and the others, in their order, for
/// the letters from U+0100 on.
/// </summary>
internal static class ByteAlphabet
{
    private static readonly char[] Letters = MakeLetters();
    private static readonly Dictionary<char, byte> Values = Letters.Select((letter, value) => (letter, value)).ToDictionary(pair => pair.letter, pair => (byte)pair.value);

    public static char Letter(byte value) => Letters[value];

    /// <summary>The bytes that a token of the vocabulary stands for; of one that is not written in the alphabet, its UTF-8.</summary>
    public static byte[] Bytes(string token) => token.All(Values.ContainsKey) ? [.. token.Select(letter => Values[letter])] : Encoding.UTF8.GetBytes(token);

    private static char[] MakeLetters()
    {
        var letters = new char[256];
        var next = 0x100;
        for (var value = 0; value < letters.Length; value++)
        {
            letters[value] = value is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or >= 0xAE ? (char)value : (char)next++;
        }

        return letters;
    }
}
