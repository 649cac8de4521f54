using System.Text.Json;
using KvMesh.Worker.Model.Files;

namespace KvMesh.Worker.Model.Text;

/// <summary>Reads a tokenizer.json: vocabulary, merges, added tokens. How text is cut and framed reads <see cref="TokenizerRules"/>.</summary>
internal sealed class TokenizerReader
{
    private const int MaxToken = 1 << 22;
    private const int MaxAddedTokens = 1 << 16;

    private readonly string _file;

    private TokenizerReader(string file) => _file = file;

    public static Tokenizer Read(string file)
    {
        using var document = ModelJson.Read(file);
        return new Tokenizer(new TokenizerReader(file).Read(document.RootElement));
    }

    private TokenizerParts Read(JsonElement root)
    {
        var model = ModelJson.Require(_file, root, "model");
        CheckModel(model);
        var vocabulary = ReadVocabulary(model);
        var added = ModelJson.TryGet(root, "added_tokens", out _) ? ReadAdded(root, vocabulary) : [];
        var parts = new TokenizerParts
        {
            Vocabulary = vocabulary,
            TokenOfByte = ReadBytes(vocabulary),
            Merges = ReadMerges(model, vocabulary),
            Added = added,
            Words = WordPattern.Gpt2,
            TakesWholeWords = ModelJson.Flag(_file, model, "ignore_merges", false),
        };
        return new TokenizerRules(_file).Apply(root, parts);
    }

    private void CheckModel(JsonElement model)
    {
        var type = ModelJson.Text(_file, model, "type", "BPE");
        if (type != "BPE")
        {
            throw new ModelFileException(_file, $"'model.type' is '{type}'; only BPE is read.");
        }

        if (ModelJson.Flag(_file, model, "byte_fallback", false))
        {
            throw new ModelFileException(_file, "'model.byte_fallback' is true; only byte-level vocabularies are read.");
        }

        foreach (var name in (ReadOnlySpan<string>)["continuing_subword_prefix", "end_of_word_suffix"])
        {
            if (ModelJson.Text(_file, model, name, string.Empty) is { Length: > 0 } text)
            {
                throw new ModelFileException(_file, $"'model.{name}' is '{text}'; byte-level vocabularies have none.");
            }
        }
    }

    private Dictionary<string, int> ReadVocabulary(JsonElement model)
    {
        var vocabulary = new Dictionary<string, int>(StringComparer.Ordinal);
        var taken = new HashSet<int>();
        foreach (var (token, value) in ModelJson.Members(_file, model, "vocab"))
        {
            var id = Id($"model.vocab['{token}']", value);
            if (!taken.Add(id))
            {
                throw new ModelFileException(_file, $"model.vocab['{token}'] is {id}, which another token has.");
            }

            vocabulary.Add(token, id);
        }

        return vocabulary;
    }

    private int[] ReadBytes(Dictionary<string, int> vocabulary)
    {
        var tokens = new int[256];
        for (var value = 0; value < tokens.Length; value++)
        {
            var letter = ByteAlphabet.Letter((byte)value);
            tokens[value] = vocabulary.TryGetValue(letter.ToString(), out var id)
                ? id
                : throw new ModelFileException(_file, $"model.vocab has no token '{letter}' (U+{(int)letter:X4}), which stands for byte {value}; a byte-level vocabulary has all 256.");
        }

        return tokens;
    }

    private Dictionary<(int Left, int Right), (int Rank, int Token)> ReadMerges(JsonElement model, Dictionary<string, int> vocabulary)
    {
        var merges = new Dictionary<(int Left, int Right), (int Rank, int Token)>();
        foreach (var item in ModelJson.Items(_file, model, "merges"))
        {
            var rank = merges.Count;
            var (left, right) = Pair(rank, item);
            var pair = (Known(left), Known(right));
            if (!merges.TryAdd(pair, (rank, Known(left + right))))
            {
                throw new ModelFileException(_file, $"model.merges[{rank}] is '{left} {right}', which appears twice.");
            }

            int Known(string token) => vocabulary.TryGetValue(token, out var id)
                ? id
                : throw new ModelFileException(_file, $"model.merges[{rank}] is '{left} {right}'; '{token}' is not in model.vocab.");
        }

        return merges;
    }

    /// <summary>Older files write a merge as one string with a space, newer ones as two.</summary>
    private (string Left, string Right) Pair(int rank, JsonElement item)
    {
        var name = $"model.merges[{rank}]";
        string[] parts = item.ValueKind switch
        {
            JsonValueKind.String => ModelJson.TextOf(_file, name, item).Split(' '),
            JsonValueKind.Array when item.EnumerateArray().All(part => part.ValueKind == JsonValueKind.String) => [.. item.EnumerateArray().Select(part => ModelJson.TextOf(_file, name, part))],
            _ => [],
        };
        return parts is [{ Length: > 0 } left, { Length: > 0 } right]
            ? (left, right)
            : throw new ModelFileException(_file, $"{name} is {ModelJson.Short(item)}; it must be two tokens.");
    }

    private List<AddedToken> ReadAdded(JsonElement root, Dictionary<string, int> vocabulary)
    {
        var added = new List<AddedToken>();
        var names = new HashSet<string>(StringComparer.Ordinal);
        var owners = vocabulary.ToDictionary(pair => pair.Value, pair => pair.Key);
        foreach (var item in ModelJson.Items(_file, root, "added_tokens"))
        {
            var token = ReadAdded(item, added.Count);
            if (!names.Add(token.Content) || (owners.TryGetValue(token.Id, out var owner) && owner != token.Content))
            {
                throw new ModelFileException(_file, $"added_tokens[{added.Count}] is '{token.Content}' with id {token.Id}; another token has that text or number.");
            }

            owners[token.Id] = token.Content;
            added.Add(token);
            if (added.Count > MaxAddedTokens)
            {
                throw new ModelFileException(_file, $"added_tokens has more than {MaxAddedTokens} tokens.");
            }
        }

        return added;
    }

    private AddedToken ReadAdded(JsonElement item, int index)
    {
        var content = ModelJson.Text(_file, item, "content");
        if (content.Length == 0 || ModelJson.Flag(_file, item, "single_word", false))
        {
            throw new ModelFileException(_file, $"added_tokens[{index}] is '{content}'; it must not be empty, and 'single_word' must be false.");
        }

        return new AddedToken(
            Id($"added_tokens[{index}].id", ModelJson.Require(_file, item, "id")), content,
            ModelJson.Flag(_file, item, "special", false), ModelJson.Flag(_file, item, "lstrip", false), ModelJson.Flag(_file, item, "rstrip", false));
    }

    private int Id(string what, JsonElement value) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var id) && id is >= 0 and <= MaxToken
            ? id
            : throw new ModelFileException(_file, $"{what} is {ModelJson.Short(value)}; it must be a whole number from 0 to {MaxToken}.");
}
