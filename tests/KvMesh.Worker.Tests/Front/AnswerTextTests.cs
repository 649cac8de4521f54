using KvMesh.TestKit;
using KvMesh.Worker.Front;
using KvMesh.Worker.Model.Text;
using KvMesh.Worker.Tests.Model;

namespace KvMesh.Worker.Tests.Front;

public sealed class AnswerTextTests
{
    private static readonly string[] Letters = ["a", "b", "ab", "é", "€", "😀", "👍", " "];

    [Fact]
    public void Text_does_not_depend_on_where_it_was_cut_and_no_stop_leaks()
    {
        for (var seed = 0; seed < 2000; seed++)
        {
            var random = new Random(seed);
            var text = RandomText(random, random.Next(30));
            string[] stops = [.. Enumerable.Range(0, random.Next(1, 5)).Select(_ => RandomText(random, random.Next(1, 4)))];
            var (expected, isStopped) = Expected(text, stops);
            var search = new StopSearch(stops);
            var told = "";
            for (var at = 0; at < text.Length && !search.IsStopped;)
            {
                var end = random.Next(at, text.Length) + 1;
                told += search.Append(text[at..end]);
                at = end;
                Assert.True(expected.StartsWith(told, StringComparison.Ordinal), $"seed {seed}: '{told}' of '{expected}'");
            }

            told += search.IsStopped ? "" : search.Finish();
            Assert.True((expected, isStopped) == (told, search.IsStopped), $"seed {seed}: '{told}' instead of '{expected}' of '{text}', stops {string.Join('|', stops)}");
        }
    }

    [Fact]
    public void Every_piece_is_whole_characters_and_together_they_are_the_text()
    {
        var tokenizer = ByteTokenizer();
        for (var seed = 0; seed < 500; seed++)
        {
            var random = new Random(seed);
            var text = RandomText(random, random.Next(30));
            string[] stops = random.Next(2) == 0 ? [] : [RandomText(random, random.Next(1, 4))];
            var answer = new AnswerText(tokenizer, stops);
            var told = "";
            foreach (var token in tokenizer.Encode(text))
            {
                var piece = answer.Append(token);
                Assert.DoesNotContain('\uFFFD', piece);
                Assert.False(piece.Length > 0 && (char.IsLowSurrogate(piece[0]) || char.IsHighSurrogate(piece[^1])), $"seed {seed}: half a character");
                told += piece;
                if (answer.IsStopped)
                {
                    break;
                }
            }

            Assert.Equal((seed, Expected(text, stops).Text), (seed, told + answer.Finish()));
        }
    }

    [Fact]
    public void Bytes_that_are_no_text_are_what_the_tokenizer_makes_of_them()
    {
        var tokenizer = ByteTokenizer();
        for (var seed = 0; seed < 500; seed++)
        {
            var random = new Random(seed);
            int[] tokens = [.. Enumerable.Range(0, random.Next(20)).Select(_ => random.Next(256))];
            var answer = new AnswerText(tokenizer, []);
            Assert.Equal(tokenizer.Decode(tokens), string.Concat(tokens.Select(answer.Append)) + answer.Finish());
        }
    }

    [Fact]
    public void The_stop_that_ends_first_counts_and_of_several_the_longest()
    {
        Assert.Equal("xa", new StopSearch(["abc", "b"]).Append("xabc"));
        Assert.Equal("x", new StopSearch(["c", "abc"]).Append("xabc"));
    }

    [Fact]
    public void A_mark_is_no_text()
    {
        var tokenizer = ByteTokenizer();
        var mark = tokenizer.AddedTokens.First(token => token.IsSpecial).Id;
        var answer = new AnswerText(tokenizer, []);
        Assert.Equal("", answer.Append(mark));
        Assert.Equal("", answer.Finish());
    }

    private static string RandomText(Random random, int letters) => string.Concat(Enumerable.Range(0, letters).Select(_ => Letters[random.Next(Letters.Length)]));

    private static (string Text, bool IsStopped) Expected(string text, string[] stops)
    {
        for (var end = 1; end <= text.Length; end++)
        {
            if (stops.Where(stop => text[..end].EndsWith(stop, StringComparison.Ordinal)).MaxBy(stop => stop.Length) is { } stop)
            {
                return (text[..(end - stop.Length)], true);
            }
        }

        return (text, false);
    }

    private static Tokenizer ByteTokenizer()
    {
        using var folder = new TemporaryDirectory();
        var path = Path.Combine(folder.Path, "tokenizer.json");
        File.WriteAllText(path, TokenizerFile.Of().Json().ToJsonString());
        return Tokenizer.Read(path);
    }
}
