using System.Text;
using System.Text.Json.Nodes;

namespace KvMesh.Worker.Tests.Model;

/// <summary>Makes tokenizer.json files: the 256 bytes, then the merges that a small text teaches, then added tokens.</summary>
internal sealed class TokenizerFile
{
    public const string Gpt2Words = """{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}""";

    public const string Llama3Words =
        """
        {"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"},
         "behavior":"Isolated","invert":false},{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}]}
        """;

    public const string Frame =
        """{"type":"Sequence","processors":[{"type":"ByteLevel"},{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<|begin|>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[],"special_tokens":{}}]}""";

    private readonly List<string> _tokens = [.. Enumerable.Range(0, 256).Select(value => Letters((byte)value))];

    /// <summary>What was learned, in its order.</summary>
    public List<(string Left, string Right)> Merges { get; } = [];

    /// <summary>Tokens as their bytes, and the number of each.</summary>
    public IReadOnlyList<string> Tokens => _tokens;

    /// <summary>Learns merges of random neighbours, so that long words have many ways to merge.</summary>
    public static TokenizerFile Random(Random random, int merges)
    {
        var file = new TokenizerFile();
        var letters = "abcde Ġ".Where(char.IsAsciiLetter).Select(letter => letter.ToString()).Append("Ġ").ToList();
        while (file.Merges.Count < merges)
        {
            file.TryAdd(letters[random.Next(letters.Count)], letters[random.Next(letters.Count)], letters);
        }

        return file;
    }

    public static TokenizerFile Of(params string[] merges)
    {
        var file = new TokenizerFile();
        foreach (var merge in merges)
        {
            var parts = merge.Split(' ');
            file.TryAdd(parts[0], parts[1], []);
        }

        return file;
    }

    public int Id(string token) => _tokens.IndexOf(token);

    public JsonObject Json(string words = Gpt2Words, string frame = "null", bool writesPairs = false) => new()
    {
        ["version"] = "1.0",
        ["added_tokens"] = new JsonArray(Added(0, "<|begin|>", true), Added(1, "<|end|>", true), Added(2, "<|begin|>x", false)),
        ["normalizer"] = null,
        ["pre_tokenizer"] = JsonNode.Parse(words),
        ["post_processor"] = JsonNode.Parse(frame),
        ["decoder"] = new JsonObject { ["type"] = "ByteLevel" },
        ["model"] = new JsonObject
        {
            ["type"] = "BPE",
            ["dropout"] = null,
            ["unk_token"] = null,
            ["byte_fallback"] = false,
            ["vocab"] = new JsonObject(_tokens.Select((token, id) => KeyValuePair.Create<string, JsonNode?>(token, id))),
            ["merges"] = new JsonArray([.. Merges.Select(merge => writesPairs ? (JsonNode)new JsonArray(merge.Left, merge.Right) : $"{merge.Left} {merge.Right}")]),
        },
    };

    private static string Letters(byte value)
    {
        // As GPT-2 numbers them: printable bytes first, the others from U+0100 on.
        var others = Enumerable.Range(0, 256).Where(other => other is < 33 or (> 126 and < 161) or 173).ToList();
        var index = others.IndexOf(value);
        return ((char)(index < 0 ? value : 256 + index)).ToString();
    }

    private void TryAdd(string left, string right, List<string> known)
    {
        if (!_tokens.Contains(left + right))
        {
            _tokens.Add(left + right);
            Merges.Add((left, right));
            known.Add(left + right);
        }
    }

    private JsonObject Added(int index, string content, bool isSpecial) => new()
    {
        ["id"] = 1000 + index,
        ["content"] = content,
        ["special"] = isSpecial,
        ["single_word"] = false,
        ["lstrip"] = false,
        ["rstrip"] = false,
        ["normalized"] = false,
    };

    /// <summary>The bytes of a text in the letters of the vocabulary.</summary>
    public static string InLetters(string text) => string.Concat(Encoding.UTF8.GetBytes(text).Select(Letters));
}
