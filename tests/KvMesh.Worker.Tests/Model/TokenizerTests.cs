using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using KvMesh.TestKit;
using KvMesh.Worker.Model.Files;
using KvMesh.Worker.Model.Text;

namespace KvMesh.Worker.Tests.Model;

public sealed class TokenizerTests : IDisposable
{
    private const string Alphabet = "abcdeſSsTtreVvmLlD'’  \t\r\n\u00a0\u2003\u3000.,!?-_<|>0123456789²ⅣéüßñЖ中文日本한あا٣नी\u0301";

    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void Merges_what_was_learned_first()
    {
        var file = TokenizerFile.Of("h e", "l l", "he ll", "hell o", "Ġ w", "l o");
        var tokenizer = Read(file.Json());

        Assert.Equal([file.Id("hello"), file.Id("Ġw"), file.Id("o"), file.Id("r"), file.Id("l"), file.Id("d")], tokenizer.Encode("hello world"));
        // "l l" was learned before "l o": of "llo" the first two merge.
        Assert.Equal([file.Id("ll"), file.Id("o")], tokenizer.Encode("llo"));
        // The leftmost of two equal pairs goes first.
        Assert.Equal([file.Id("ll"), file.Id("l")], tokenizer.Encode("lll"));
        Assert.Empty(tokenizer.Encode(""));
    }

    [Fact]
    public void Encodes_as_the_definition_does()
    {
        Fuzz.Run(30, random =>
        {
            var file = TokenizerFile.Random(random, 1 + random.Next(60));
            var tokenizer = Read(file.Json(writesPairs: random.Next(2) == 0));
            for (var round = 0; round < 20; round++)
            {
                var text = string.Concat(Enumerable.Range(0, random.Next(60)).Select(_ => "abcde "[random.Next(6)]));

                Assert.Equal(Words(text, WordPattern.Gpt2).SelectMany(word => ByDefinition(file, word)), tokenizer.Encode(text));
            }
        });
    }

    [Fact]
    public void A_word_of_a_hundred_thousand_letters_takes_no_quadratic_time()
    {
        var tokenizer = Read(TokenizerFile.Of("a a", "aa aa", "aaaa aaaa").Json());

        Assert.Equal(12_501, tokenizer.Encode(new string('a', 100_001)).Count);
    }

    [Fact]
    public void Words_are_those_of_the_regular_expressions()
    {
        foreach (var pattern in WordPattern.All)
        {
            // The .NET engine takes a long s for no s; everything else here is one UTF-16 unit, on which both agree.
            var expression = new Regex(pattern.Expression.Replace("(?i:'s|", "(?i:'s|'ſ|", StringComparison.Ordinal), RegexOptions.CultureInvariant);
            Fuzz.Run(3000, random =>
            {
                var text = string.Concat(Enumerable.Range(0, random.Next(40)).Select(_ => Alphabet[random.Next(Alphabet.Length)]));

                Assert.Equal(expression.Matches(text).Select(match => match.Value), Words(text, pattern));
            });
        }
    }

    [Theory]
    [InlineData("I'm 12345 years, you'LL see\n\n  ok", "I|'m| |123|45| years|,| you|'LL| see|\n\n| | ok")]
    [InlineData("a  b\t c", "a| | b|\t| c")]
    [InlineData("𝐀𝐁 😀😀x", "𝐀𝐁| 😀😀|x")]
    [InlineData("end   ", "end|   ")]
    [InlineData("_word (word) \r\n\r\nx", "_word| (|word|)| \r\n\r\n|x")]
    public void Llama_3_cuts_words_as_published(string text, string words) => Assert.Equal(words.Split('|'), Words(text, WordPattern.Llama3));

    [Theory]
    [InlineData("I'm 12345 years, you'LL see\n\n  ok", "I|'m| 12345| years|,| you|'|LL| see|\n\n | ok")]
    [InlineData("𝐀𝐁 😀😀x", "𝐀𝐁| 😀😀|x")]
    public void Gpt_2_cuts_words_as_published(string text, string words) => Assert.Equal(words.Split('|'), Words(text, WordPattern.Gpt2));

    [Theory]
    [InlineData(TokenizerFile.Gpt2Words)]
    [InlineData(TokenizerFile.Llama3Words)]
    public void Any_text_comes_back(string words)
    {
        var tokenizer = Read(TokenizerFile.Random(new Random(3), 40).Json(words));
        Fuzz.Run(300, random =>
        {
            var text = string.Concat(Enumerable.Range(0, random.Next(50)).Select(_ => random.Next(5) == 0 ? "😀" : Alphabet[random.Next(Alphabet.Length)].ToString()));

            Assert.Equal(text, tokenizer.Decode(tokenizer.Encode(text)));
        });
    }

    [Fact]
    public void Half_a_surrogate_pair_counts_as_the_replacement_character()
    {
        var tokenizer = Read(TokenizerFile.Of().Json());

        Assert.Equal("a\ufffdb", tokenizer.Decode(tokenizer.Encode("a\ud800b")));
    }

    [Fact]
    public void Added_tokens_are_found_first_and_the_longest_of_them()
    {
        var file = TokenizerFile.Of();
        var tokenizer = Read(file.Json());

        Assert.Equal([file.Id("a"), 1000, file.Id("b"), 1002, 1001], tokenizer.Encode("a<|begin|>b<|begin|>x<|end|>"));
        Assert.Equal("ab<|begin|>x", tokenizer.Decode([file.Id("a"), 1000, file.Id("b"), 1002, 1001]));
        Assert.Equal("<|begin|>a", tokenizer.Decode([1000, file.Id("a")], skipsSpecial: false));
        Assert.Equal([file.Id("<"), file.Id("|"), file.Id("e")], tokenizer.Encode("<|e"));
        Assert.Equal(1003, tokenizer.TokenLimit);
    }

    [Fact]
    public void Added_tokens_take_the_spaces_beside_them_when_they_say_so()
    {
        var file = TokenizerFile.Of();
        var json = file.Json();
        json["added_tokens"]![0]!["lstrip"] = true;
        json["added_tokens"]![1]!["rstrip"] = true;
        var tokenizer = Read(json);

        Assert.Equal([file.Id("a"), 1000, file.Id("Ġ"), 1001, file.Id("b")], tokenizer.Encode("a \n<|begin|> <|end|>  b"));
    }

    [Fact]
    public void A_whole_text_is_framed_as_the_file_says()
    {
        var file = TokenizerFile.Of();
        var tokenizer = Read(file.Json(TokenizerFile.Llama3Words, TokenizerFile.Frame));

        Assert.Equal([1000, file.Id("a")], tokenizer.Encode("a"));
        Assert.Equal([file.Id("a")], tokenizer.Encode("a", isWhole: false));
    }

    [Fact]
    public void A_space_goes_before_the_text_where_the_file_says_so()
    {
        var file = TokenizerFile.Of("Ġ a");
        var tokenizer = Read(file.Json(TokenizerFile.Gpt2Words.Replace("\"add_prefix_space\":false", "\"add_prefix_space\":true", StringComparison.Ordinal)));

        Assert.Equal([file.Id("Ġa")], tokenizer.Encode("a"));
        Assert.Equal([file.Id("Ġa")], tokenizer.Encode(" a"));
    }

    [Fact]
    public void Whole_words_go_before_merges_where_the_file_says_so()
    {
        var file = TokenizerFile.Of("a b", "b c", "a bc");
        var json = file.Json();
        Assert.Equal([file.Id("ab"), file.Id("c")], Read(json).Encode("abc"));
        json["model"]!["ignore_merges"] = true;

        Assert.Equal([file.Id("abc")], Read(json).Encode("abc"));
    }

    [Theory]
    [InlineData("model.type", "\"WordPiece\"", "'model.type' is 'WordPiece'")]
    [InlineData("model.byte_fallback", "true", "'model.byte_fallback' is true")]
    [InlineData("model.continuing_subword_prefix", "\"##\"", "'model.continuing_subword_prefix' is '##'")]
    [InlineData("model.vocab", "{}", "model.vocab has no token 'Ā' (U+0100), which stands for byte 0")]
    [InlineData("model.vocab", "[]", "'vocab' must be an object")]
    [InlineData("model.vocab", "{\"a\":1,\"b\":1}", "model.vocab['b'] is 1, which another token has")]
    [InlineData("model.vocab", "{\"a\":-1}", "model.vocab['a'] is -1; it must be a whole number from 0 to 4194304")]
    [InlineData("model.merges", "[\"a\"]", "model.merges[0] is \"a\"; it must be two tokens")]
    [InlineData("model.merges", "[[\"a\",\"b\",\"c\"]]", "it must be two tokens")]
    [InlineData("model.merges", "[7]", "model.merges[0] is 7; it must be two tokens")]
    [InlineData("model.merges", "[\"a q\"]", "model.merges[0] is 'a q'; 'aq' is not in model.vocab")]
    [InlineData("model.merges", "[\"a b\",\"a b\"]", "model.merges[1] is 'a b', which appears twice")]
    [InlineData("model.merges", "null", "'merges' is missing")]
    [InlineData("added_tokens", "[{\"id\":1,\"content\":\"<x>\"}]", "added_tokens[0] is '<x>' with id 1; another token has that text or number")]
    [InlineData("added_tokens", "[{\"id\":900,\"content\":\"\"}]", "added_tokens[0] is ''; it must not be empty")]
    [InlineData("added_tokens", "[{\"id\":900,\"content\":\"w\",\"single_word\":true}]", "'single_word' must be false")]
    [InlineData("added_tokens", "[{\"content\":\"w\"}]", "'id' is missing")]
    [InlineData("normalizer", "{\"type\":\"NFC\"}", "'normalizer' is {\"type\":\"NFC\"}; it must be null")]
    [InlineData("decoder", "{\"type\":\"Metaspace\"}", "it must be ByteLevel")]
    [InlineData("pre_tokenizer", "null", "'pre_tokenizer' is missing")]
    [InlineData("pre_tokenizer", "{\"type\":\"Whitespace\"}", "it must be ByteLevel, or Split before ByteLevel")]
    [InlineData("pre_tokenizer", "{\"type\":\"ByteLevel\",\"use_regex\":false}", "it must cut words once")]
    [InlineData("pre_tokenizer", "{\"type\":\"Sequence\",\"pretokenizers\":[]}", "it must end with ByteLevel")]
    [InlineData("pre_tokenizer", "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a+\"}},{\"type\":\"ByteLevel\",\"use_regex\":false}]}", "it must have the pattern of GPT-2")]
    [InlineData("post_processor", "{\"type\":\"BertProcessing\"}", "it must be ByteLevel or one TemplateProcessing")]
    [InlineData("post_processor", "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<none>\"}}]}", "post_processor names '<none>', which is not in added_tokens")]
    [InlineData("post_processor", "{\"type\":\"TemplateProcessing\",\"single\":[]}", "it must hold a Sequence")]
    public void Refuses_what_it_does_not_do_or_understand(string field, string value, string problem)
    {
        var json = TokenizerFile.Of("a b").Json();
        var path = field.Split('.');
        var parent = path.Length == 1 ? json : json[path[0]]!.AsObject();
        parent[path[^1]] = JsonNode.Parse(value);

        var failure = Assert.Throws<ModelFileException>(() => Read(json));
        Assert.Contains(problem, failure.Message, StringComparison.Ordinal);
        Assert.StartsWith(_directory.Path, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_damaged_file_is_read_or_refused_and_nothing_else()
    {
        var whole = Encoding.UTF8.GetBytes(TokenizerFile.Of("a b", "c d", "ab cd").Json(TokenizerFile.Llama3Words, TokenizerFile.Frame).ToJsonString());
        var path = Path.Combine(_directory.Path, "tokenizer.json");
        Fuzz.Run(600, random =>
        {
            try
            {
                File.WriteAllBytes(path, Fuzz.Damage(random, whole));
                var tokenizer = Tokenizer.Read(path);
                tokenizer.Decode(tokenizer.Encode("abcd <|end|> x"));
            }
            catch (ModelFileException)
            {
                // What a damaged file is for.
            }
        });
    }

    private static List<string> Words(string text, WordPattern pattern)
    {
        var words = new List<string>();
        var scanner = new WordScanner(text, pattern);
        while (scanner.TryNext(out var word))
        {
            words.Add(word.ToString());
        }

        return words;
    }

    /// <summary>The rule as it is written in the paper: again and again the pair of the least rank, everywhere in turn.</summary>
    private static List<int> ByDefinition(TokenizerFile file, string word)
    {
        var parts = TokenizerFile.InLetters(word).Select(letter => letter.ToString()).ToList();
        while (true)
        {
            var best = Enumerable.Range(0, Math.Max(0, parts.Count - 1))
                .Select(at => (Rank: file.Merges.IndexOf((parts[at], parts[at + 1])), At: at))
                .Where(pair => pair.Rank >= 0).Order().FirstOrDefault((Rank: -1, At: -1));
            if (best.Rank < 0)
            {
                return [.. parts.Select(file.Id)];
            }

            parts[best.At] += parts[best.At + 1];
            parts.RemoveAt(best.At + 1);
        }
    }

    private Tokenizer Read(JsonObject json)
    {
        var path = Path.Combine(_directory.Path, "tokenizer.json");
        File.WriteAllText(path, json.ToJsonString());
        return Tokenizer.Read(path);
    }
}
