using KvMesh.LoadTest.Quality;
using KvMesh.TestKit;

namespace KvMesh.Worker.Tests.Quality;

/// <summary>The model that codecs are judged with remembers, on texts that it was not taught.</summary>
public sealed class QualityModelTests
{
    private const int Length = 1024;
    private const double Least = 0.95;

    [Fact]
    public void The_model_of_the_repository_answers_what_it_is_asked_at_1024_tokens()
    {
        var folder = Path.Combine(SourceTree.Root, "benchmarks", "quality", "model");
        using var survey = new QualitySurvey(folder, 1, Length, 256, new Dictionary<QualityTask, int> { [QualityTask.Pairs] = 1, [QualityTask.Passkey] = 8, [QualityTask.Story] = 1 });

        var scores = survey.Exact().Scores;

        Assert.Equal((128, 64), (scores[QualityTask.Pairs].Asked, scores[QualityTask.Passkey].Asked));
        Assert.True(scores[QualityTask.Pairs].Accuracy >= Least, $"{scores[QualityTask.Pairs]}");
        Assert.True(scores[QualityTask.Passkey].Accuracy >= Least, $"{scores[QualityTask.Passkey]}");

        // One of a hundred and more words at random would be 4.6 and more.
        Assert.InRange(scores[QualityTask.Story].LossPerToken, 0.5, 1.5);
    }
}
