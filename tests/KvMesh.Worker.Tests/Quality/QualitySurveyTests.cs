using KvMesh.Codecs.Blocks;
using KvMesh.LoadTest;
using KvMesh.LoadTest.Quality;
using KvMesh.Worker.Tests.Model;

namespace KvMesh.Worker.Tests.Quality;

public sealed class QualitySurveyTests
{
    private const int Length = 160;
    private const int BlockTokens = 32;

    private static readonly Dictionary<QualityTask, int> Counts = new() { [QualityTask.Pairs] = 2, [QualityTask.Passkey] = 3, [QualityTask.Story] = 2 };

    [Fact]
    public void Codecs_without_loss_change_no_score_and_those_with_one_change_the_loss_per_token()
    {
        using var model = new TestModel(Shapes.Grouped with { Vocabulary = QualityWords.Vocabulary });
        using var survey = new QualitySurvey(model.Path, 2, Length, BlockTokens, Counts);

        var exact = survey.Exact();
        Assert.Equal(1, exact.Ratio);
        Assert.Equal(Counts.Keys, exact.Scores.Keys);
        Assert.True(exact.Scores[QualityTask.Pairs].Asked > 0);
        foreach (var name in new[] { "raw", "lossless" })
        {
            var same = survey.Of(CodecRegistry.Standard.Find(name)!);
            Assert.Equal(exact.Scores, same.Scores);
        }

        var lossy = survey.Of(CodecRegistry.Standard.Presets.First(static codec => codec.Name.StartsWith("kivi2", StringComparison.Ordinal)));
        Assert.True(lossy.Bytes < exact.Bytes, $"{lossy.Bytes} of {exact.Bytes} bytes");
        Assert.NotEqual(exact.Scores[QualityTask.Story].Loss, lossy.Scores[QualityTask.Story].Loss);

        // What was put in place for one codec is gone for the next.
        Assert.Equal(exact.Scores, survey.Exact().Scores);
    }

    [Fact]
    public void A_model_of_other_words_and_blocks_that_hold_the_questions_are_refused()
    {
        using var small = new TestModel(Shapes.Grouped);
        var other = Assert.Throws<LoadTestException>(() => new QualitySurvey(small.Path, 1, Length, BlockTokens, Counts));
        Assert.Contains($"{QualityWords.Vocabulary}", other.Message, StringComparison.Ordinal);

        using var model = new TestModel(Shapes.Grouped with { Vocabulary = QualityWords.Vocabulary });
        var longer = Assert.Throws<LoadTestException>(() => new QualitySurvey(model.Path, 1, Length, 128, Counts));
        Assert.Contains("128", longer.Message, StringComparison.Ordinal);
    }
}
