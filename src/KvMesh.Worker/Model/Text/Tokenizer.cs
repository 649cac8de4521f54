using System.Text;
using KvMesh.Worker.Model.Files;

namespace KvMesh.Worker.Model.Text;

/// <summary>A byte-level BPE tokenizer, as <c>tokenizer.json</c> of Hugging Face describes it: text to tokens and back. Immutable; threads may share it.</summary>
public sealed class Tokenizer
{
    private readonly TokenizerParts _parts;
    private readonly AddedTokenSearch _search;
    private readonly BytePairs _pairs;
    private readonly byte[]?[] _bytes;
    private readonly HashSet<int> _special;

    internal Tokenizer(TokenizerParts parts)
    {
        _parts = parts;
        _search = new AddedTokenSearch(parts.Added);
        _pairs = new BytePairs(parts.TokenOfByte, parts.Merges);
        _special = [.. parts.Added.Where(token => token.IsSpecial).Select(token => token.Id)];
        _bytes = new byte[]?[1 + Math.Max(parts.Vocabulary.Values.Max(), parts.Added.Select(token => token.Id).DefaultIfEmpty(0).Max())];
        foreach (var (token, id) in parts.Vocabulary)
        {
            _bytes[id] = ByteAlphabet.Bytes(token);
        }

        foreach (var added in parts.Added)
        {
            _bytes[added.Id] = Encoding.UTF8.GetBytes(added.Content);
        }
    }

    /// <summary>One more than the highest number of a token.</summary>
    public int TokenLimit => _bytes.Length;

    public IReadOnlyList<AddedToken> AddedTokens => _parts.Added;

    /// <exception cref="ModelFileException">The file is missing, malformed, or asks for what is not done here.</exception>
    public static Tokenizer Read(string file) => TokenizerReader.Read(file);

    /// <param name="text">Any text; half a surrogate pair counts as U+FFFD.</param>
    /// <param name="isWhole">Whether the marks go around it that the file asks for, as the begin of a text.</param>
    public List<int> Encode(string text, bool isWhole = true)
    {
        var tokens = new List<int>();
        if (isWhole)
        {
            tokens.AddRange(_parts.Prefix);
        }

        // Only whole UTF-16 goes further.
        EncodeText(Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text)), tokens);
        if (isWhole)
        {
            tokens.AddRange(_parts.Suffix);
        }

        return tokens;
    }

    /// <summary>The text of tokens. Bytes that are no UTF-8 become U+FFFD; a caller who streams decodes <see cref="Bytes"/> with a <see cref="Decoder"/>.</summary>
    public string Decode(IEnumerable<int> tokens, bool skipsSpecial = true)
    {
        var bytes = new List<byte>();
        foreach (var token in tokens)
        {
            if (!skipsSpecial || !IsSpecial(token))
            {
                bytes.AddRange(Bytes(token));
            }
        }

        return Encoding.UTF8.GetString(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(bytes));
    }

    /// <summary>What a token stands for; nothing for a number that no token has.</summary>
    public ReadOnlySpan<byte> Bytes(int token) => (uint)token < (uint)_bytes.Length ? _bytes[token] : null;

    /// <summary>Whether a token is a mark and no text.</summary>
    public bool IsSpecial(int token) => _special.Contains(token);

    private void EncodeText(ReadOnlySpan<char> text, List<int> tokens)
    {
        var done = 0;
        while (done < text.Length)
        {
            var added = _search.Find(text, done, out var at);
            var end = added is null ? text.Length : at;
            if (added is { TakesLeft: true })
            {
                end = done + text[done..at].TrimEnd().Length;
            }

            EncodePlain(text[done..end], tokens);
            if (added is null)
            {
                return;
            }

            tokens.Add(added.Id);
            done = at + added.Content.Length;
            if (added.TakesRight)
            {
                done = text.Length - text[done..].TrimStart().Length;
            }
        }
    }

    private void EncodePlain(ReadOnlySpan<char> text, List<int> tokens)
    {
        if (text.IsEmpty)
        {
            return;
        }

        var words = new WordScanner(_parts.AddsSpace && text[0] != ' ' ? $" {text}" : text, _parts.Words);
        while (words.TryNext(out var word))
        {
            EncodeWord(word, tokens);
        }
    }

    private void EncodeWord(ReadOnlySpan<char> word, List<int> tokens)
    {
        var bytes = new byte[Encoding.UTF8.GetByteCount(word)];
        Encoding.UTF8.GetBytes(word, bytes);
        if (_parts.TakesWholeWords && _parts.Vocabulary.TryGetValue(string.Concat(bytes.Select(ByteAlphabet.Letter)), out var whole))
        {
            tokens.Add(whole);
            return;
        }

        _pairs.Encode(bytes, tokens);
    }
}
