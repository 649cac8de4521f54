using KvMesh.Engine.Coding;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Coding;

public sealed class EncodeBudgetTests
{
    private readonly SimulatedClock _time = new();

    [Fact]
    public void Encoding_gets_its_share_of_the_time_that_passes()
    {
        var budget = new EncodeBudget(0.25, _time);
        var taken = 0;
        for (var tick = 0; tick < 1000; tick++)
        {
            _time.Advance(TimeSpan.FromMilliseconds(10));
            if (budget.HasTime)
            {
                budget.Spend(TimeSpan.FromMilliseconds(20));
                taken++;
            }
        }

        // 10 s at a quarter, and what was kept at the beginning.
        Assert.InRange(taken * 20, 2500, 2800);
    }

    [Fact]
    public void What_was_not_used_is_kept_for_a_second_only()
    {
        var budget = new EncodeBudget(0.5, _time);
        _time.Advance(TimeSpan.FromHours(1));
        Assert.True(budget.HasTime);

        budget.Spend(TimeSpan.FromMilliseconds(500));

        Assert.False(budget.HasTime);
    }

    [Fact]
    public void A_long_block_is_owed()
    {
        var budget = new EncodeBudget(0.5, _time);
        Assert.True(budget.HasTime);
        budget.Spend(TimeSpan.FromSeconds(2));

        _time.Advance(TimeSpan.FromSeconds(2));
        Assert.False(budget.HasTime);

        _time.Advance(TimeSpan.FromSeconds(2));
        Assert.True(budget.HasTime);
    }

    [Fact]
    public void Without_a_share_nothing_is_encoded()
    {
        var budget = new EncodeBudget(0, _time);
        _time.Advance(TimeSpan.FromHours(1));

        Assert.False(budget.HasTime);
    }

    [Fact]
    public void Waiting_for_a_processor_is_not_spent()
    {
        var used = TimeSpan.FromHours(3);
        var budget = new EncodeBudget(0.5, _time, () => used);
        var begun = budget.Begin();
        _time.Advance(TimeSpan.FromMinutes(1));
        used += TimeSpan.FromMilliseconds(400);
        budget.End(begun);

        Assert.True(budget.HasTime);
        begun = budget.Begin();
        used += TimeSpan.FromMilliseconds(600);
        budget.End(begun);

        Assert.False(budget.HasTime);
    }

    [Fact]
    public void The_time_of_a_thread_is_its_own()
    {
        var before = ThreadTime.Read();
        Eventually.HoldsBlocking(() => ThreadTime.Read() > before, "the thread to have worked");
        var mine = ThreadTime.Read();
        var other = TimeSpan.MaxValue;
        var thread = new Thread(() => other = ThreadTime.Read());
        thread.Start();
        thread.Join();

        Assert.NotEqual(TimeSpan.Zero, mine);
        Assert.InRange(other, TimeSpan.Zero, TimeSpan.FromMinutes(1));
        Assert.True(ThreadTime.Read() >= mine);
    }
}
