using KvMesh.Cluster.Placement.Scheduler;
using KvMesh.Protocol.Sequences;

namespace KvMesh.Cluster.Tests.Placement.Scheduler;

public sealed class ReturnForecastTests
{
    private const long ParkedAt = 1_000_000;

    private readonly ReturnForecast _forecast = new();

    [Fact]
    public void The_time_that_was_named_is_no_guess() =>
        Assert.Equal((7_000_000, false), _forecast.Of("t", Parked(rests: 5, usual: 100) with { ReturnAt = 7_000_000 }));

    [Fact]
    public void Else_it_is_as_long_after_it_was_parked_as_the_sequence_usually_rests() =>
        Assert.Equal((ParkedAt + 30_000, true), _forecast.Of("t", Parked(rests: 2, usual: 30_000)));

    [Theory]
    [InlineData(0, 0u)]
    [InlineData(1, 777u)]
    public void One_that_has_hardly_rested_is_taken_for_one_of_its_tenant(int rests, uint usual)
    {
        Learn("t", 10, 40, 20);
        Learn("other", 5_000, 5_000, 5_000);

        Assert.Equal((ParkedAt + 20, true), _forecast.Of("t", Parked(rests, usual)));
    }

    [Fact]
    public void Two_sequences_say_nothing_of_a_tenant_and_its_own_only_rest_says_something()
    {
        Learn("t", 10, 40);

        Assert.Null(_forecast.Of("t", Parked(rests: 0, usual: 0)));
        Assert.Equal((ParkedAt + 777, true), _forecast.Of("t", Parked(rests: 1, usual: 777)));
    }

    [Fact]
    public void A_sequence_counts_once_and_with_what_it_says_last()
    {
        Learn("t", 10, 40, 20);
        for (var time = 0; time < 100; time++)
        {
            _forecast.Learn("t", Parked(3, 60) with { Name = "s0" });
        }

        Assert.Equal((ParkedAt + 40, true), _forecast.Of("t", Parked(rests: 0, usual: 0)));
    }

    [Fact]
    public void Of_many_sequences_those_that_were_heard_of_last_count()
    {
        Learn("t", [.. Enumerable.Repeat(10u, 300)]);
        Learn("t", "n", [.. Enumerable.Repeat(90u, 256)]);

        Assert.Equal((ParkedAt + 90, true), _forecast.Of("t", Parked(rests: 0, usual: 0)));
    }

    [Fact]
    public void Nobody_can_tell_of_one_that_is_not_parked_or_was_before_anyone_counted()
    {
        Assert.Null(_forecast.Of("t", Parked(rests: 5, usual: 100) with { State = SequenceState.Active }));
        Assert.Null(_forecast.Of("t", Parked(rests: 5, usual: 100) with { ParkedAt = 0 }));
    }

    private void Learn(string tenant, params uint[] usual) => Learn(tenant, "s", usual);

    private void Learn(string tenant, string name, uint[] usual)
    {
        for (var index = 0; index < usual.Length; index++)
        {
            _forecast.Learn(tenant, Parked(3, usual[index]) with { Name = $"{name}{index}" });
        }
    }

    private static SequenceInfo Parked(int rests, uint usual) =>
        new() { Name = "chat", State = SequenceState.Parked, ParkedAt = ParkedAt, Rests = rests, UsualRestMilliseconds = usual };
}
