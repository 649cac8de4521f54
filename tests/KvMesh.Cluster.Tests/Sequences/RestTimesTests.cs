using System.Collections.Immutable;
using KvMesh.Cluster.Sequences;
using KvMesh.Protocol.Sequences;
using KvMesh.TestKit.Sequences;

namespace KvMesh.Cluster.Tests.Sequences;

public sealed class RestTimesTests
{
    private const long Start = 1_763_764_200_000;

    [Theory]
    [InlineData("", 0u)]
    [InlineData("7", 7u)]
    [InlineData("1 9", 9u)]
    [InlineData("5 1 3", 3u)]
    [InlineData("10 12 9 11 28800000", 11u)]
    public void The_usual_rest_is_the_median(string rests, uint expected) => Assert.Equal(expected, RestTimes.Usual(Parse(rests).AsSpan()));

    [Fact]
    public void The_last_ones_are_kept_and_no_time_is_beyond_the_bounds()
    {
        var rests = ImmutableArray<uint>.Empty;
        for (var rest = 1; rest <= 7; rest++)
        {
            rests = RestTimes.Add(rests, rest);
        }

        Assert.Equal([3u, 4u, 5u, 6u, 7u], rests.AsEnumerable());
        Assert.Equal([5u, 6u, 7u, 0u, uint.MaxValue], RestTimes.Add(RestTimes.Add(rests, -1), long.MaxValue).AsEnumerable());
    }

    [Fact]
    public void A_rest_is_from_the_first_park_to_the_resume_whoever_resumes()
    {
        var head = Step(null, SequenceCommands.Open(), Start);
        head = Step(head, new ParkSequence { NextHolder = "b" }, Start + 1_000);
        Assert.Equal(Start + 1_000, head.ParkedAt);
        head = Step(head, new ParkSequence { NextHolder = "c" }, Start + 3_000);
        Assert.Equal(Start + 1_000, head.ParkedAt);
        head = Step(head, new ResumeSequence { Holder = "c" }, Start + 6_000);
        Assert.Equal((0, 5_000u), (head.ParkedAt, Assert.Single(head.Rests)));

        // Taking what is not parked is no rest; opening what is parked ends one.
        head = Step(head, new ResumeSequence { Holder = "d" }, Start + 7_000);
        Assert.Single(head.Rests);
        head = Step(head, new ParkSequence(), Start + 8_000);
        head = Step(head, SequenceCommands.Open(), Start + 10_000);
        Assert.Equal([5_000u, 2_000u], head.Rests.AsEnumerable());

        // A clock that went back makes no rest of years.
        head = Step(head, new ParkSequence(), Start + 20_000);
        head = Step(head, new ResumeSequence { Holder = "d" }, Start + 19_000);
        Assert.Equal(0u, head.Rests[^1]);
    }

    [Fact]
    public void They_are_stored_with_the_head_and_told_within_the_node()
    {
        var head = Step(null, SequenceCommands.Open(), Start);
        for (var rest = 1; rest <= 3; rest++)
        {
            head = Step(head, new ParkSequence(), Start + (10_000 * rest));
            head = Step(head, new ResumeSequence { Holder = "a" }, Start + (10_000 * rest) + (rest * 100));
        }

        head = Step(head, new ParkSequence(), Start + 90_000);
        var read = SequenceHeadFormat.TryRead(SequenceHeadFormat.Write(head))!;

        Assert.Equal(head.Rests.AsEnumerable(), read.Rests.AsEnumerable());
        var info = read.ToInfo("chat", Start + 90_000);
        Assert.Equal((Start + 90_000, 3, 200u), (info.ParkedAt, info.Rests, info.UsualRestMilliseconds));
    }

    private static SequenceHead Step(SequenceHead? head, SequenceCommand command, long now)
    {
        var decision = SequenceLogic.Apply(head, command, now, 5, new SequenceUsage(long.MaxValue / 2, long.MaxValue / 2, long.MaxValue / 2), new SequenceRules());
        Assert.Equal(SequenceRefusal.None, decision.Refusal);
        return decision.Head!;
    }

    private static ImmutableArray<uint> Parse(string rests) => [.. rests.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(uint.Parse)];
}
