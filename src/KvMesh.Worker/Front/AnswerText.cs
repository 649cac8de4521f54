using System.Text;
using KvMesh.Worker.Model.Text;

namespace KvMesh.Worker.Front;

/// <summary>
/// The text of an answer, token by token. A token may be a part of a character: its bytes wait for the others, so that every piece is whole UTF-16. The
/// pieces together are what the tokenizer makes of all tokens, up to the first stop.
/// </summary>
internal sealed class AnswerText(Tokenizer tokenizer, IReadOnlyList<string> stops)
{
    private readonly Decoder _decoder = Encoding.UTF8.GetDecoder();
    private readonly StopSearch _search = new(stops);

    /// <summary>Whether a stop ended the text.</summary>
    public bool IsStopped => _search.IsStopped;

    /// <summary>The text that is certain now; empty while bytes or the rest of a stop may follow.</summary>
    public string Append(int token) => tokenizer.IsSpecial(token) ? "" : _search.Append(Decode(tokenizer.Bytes(token), isLast: false));

    /// <summary>What was held back, when no token follows. A character that is not whole becomes U+FFFD.</summary>
    public string Finish()
    {
        if (IsStopped)
        {
            return "";
        }

        var last = _search.Append(Decode([], isLast: true));
        return IsStopped ? last : last + _search.Finish();
    }

    private string Decode(ReadOnlySpan<byte> bytes, bool isLast)
    {
        var characters = new char[_decoder.GetCharCount(bytes, isLast)];
        _decoder.GetChars(bytes, characters, isLast);
        return new string(characters);
    }
}
