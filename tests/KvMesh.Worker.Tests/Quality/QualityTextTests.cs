using System.Text.Json;
using KvMesh.LoadTest.Quality;
using KvMesh.TestKit;

namespace KvMesh.Worker.Tests.Quality;

public sealed class QualityTextTests
{
    public static TheoryData<int, int> SeedsAndLengths => new() { { 1, 64 }, { 2, 256 }, { 77, 1024 } };

    /// <summary>The benchmark asks the model in the language in which benchmarks/quality/train.py taught it.</summary>
    [Fact]
    public async Task Texts_are_those_that_the_training_script_makes()
    {
        (string Kind, QualityTask Task)[] kinds = [("pairs", QualityTask.Pairs), ("passkey", QualityTask.Passkey), ("story", QualityTask.Story)];
        (string Kind, QualityTask Task, int Seed, int Length)[] cases =
            [.. from kind in kinds from seed in new[] { 3, 1_000_000_007 } from length in new[] { 64, 256, 1024 } select (kind.Kind, kind.Task, seed, length)];
        string[] arguments = [Path.Combine(SourceTree.Root, "benchmarks", "quality", "train.py"), .. cases.SelectMany(text => new[] { "--show", text.Kind, $"{text.Seed}", $"{text.Length}" })];

        var (exitCode, output, error) = await ChildProcess.RunAsync(
            "/usr/bin/python3", arguments, TimeSpan.FromMinutes(5), new Dictionary<string, string> { ["PYTHONDONTWRITEBYTECODE"] = "1" });
        Assert.True(exitCode == 0, $"train.py ended with {exitCode}; it needs python3-torch.\n{output}\n{error}");

        var lines = output.Split('\n', StringSplitOptions.RemoveEmptyEntries);

        Assert.Equal(cases.Length, lines.Length);
        foreach (var (text, line) in cases.Zip(lines))
        {
            var expected = JsonSerializer.Deserialize<Shown>(line, JsonSerializerOptions.Web)!;
            var made = QualityText.Make(text.Task, text.Seed, text.Length);
            Assert.Equal(expected.Tokens, made.Tokens);
            Assert.Equal(expected.Answers, made.Answers);
        }
    }

    [Theory]
    [MemberData(nameof(SeedsAndLengths))]
    public void Every_answer_can_be_found_once_before_its_question(int seed, int length)
    {
        foreach (var task in new[] { QualityTask.Pairs, QualityTask.Passkey })
        {
            var text = QualityText.Make(task, seed, length);
            Assert.Equal(length, text.Tokens.Length);
            Assert.Contains(true, text.Answers);
            for (var index = 0; index < length; index++)
            {
                if (text.Answers[index])
                {
                    Assert.Equal(1, text.Tokens.AsSpan(0, index).Count(text.Tokens[index]));
                }
            }
        }
    }

    private sealed record Shown(int[] Tokens, bool[] Answers);
}
