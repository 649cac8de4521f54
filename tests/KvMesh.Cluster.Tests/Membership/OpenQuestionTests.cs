using KvMesh.Cluster.Membership;
using KvMesh.TestKit;

namespace KvMesh.Cluster.Tests.Membership;

public sealed class OpenQuestionTests
{
    private readonly SimulatedClock _time = new();
    private readonly Queue<TaskCompletionSource<string>> _answers = new([new(), new()]);
    private readonly List<TaskCompletionSource<string>> _asked = [];

    [Fact]
    public async Task Who_asks_after_one_that_went_away_gets_the_answer_to_the_first_question()
    {
        var question = Question();
        using var hurry = new CancellationTokenSource();
        var first = question.AskAsync(() => 1, hurry.Token);
        await hurry.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);

        var second = question.AskAsync(() => 2, CancellationToken.None);
        _asked[0].SetResult("one");

        var answered = await second;
        Assert.Equal((1, "one", true), (answered.Request, answered.Reply, answered.IsLate));
        Assert.False(question.IsOpen);
    }

    [Fact]
    public async Task An_answer_to_a_question_that_was_closed_leaves_the_next_one_open()
    {
        var question = Question();
        var first = question.AskAsync(() => 1, CancellationToken.None);
        question.Close();
        var second = question.AskAsync(() => 2, CancellationToken.None);

        _asked[0].SetException(new StoreSilentException("It is gone."));
        await Assert.ThrowsAsync<StoreSilentException>(() => first);

        Assert.True(question.IsOpen);
        _asked[1].SetResult("two");
        Assert.Equal("two", (await second).Reply);
        Assert.False(question.IsOpen);
    }

    private OpenQuestion<int, string> Question() => new(
        (_, _) =>
        {
            _asked.Add(_answers.Dequeue());
            return new ValueTask<string>(_asked[^1].Task);
        },
        TimeSpan.FromSeconds(30),
        _time);
}
