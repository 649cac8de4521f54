using KvMesh.Protocol.Sockets;

namespace KvMesh.Protocol.Tests.Sockets;

public sealed class PeerPaceTests
{
    private static readonly StreamSocketOptions Options = new() { StallLimit = TimeSpan.FromSeconds(30), MinBytesPerSecond = 1000 };

    [Fact]
    public void A_byte_now_and_then_is_a_stall_after_the_limit()
    {
        var pace = default(PeerPace);

        Assert.Equal(3, Enumerable.Range(1, 10).TakeWhile(_ => pace.Note(TimeSpan.FromSeconds(9), 1, Options)).Count());
    }

    [Fact]
    public void Who_keeps_the_pace_may_take_all_day()
    {
        var pace = default(PeerPace);

        Assert.All(Enumerable.Range(0, 100_000), _ => Assert.True(pace.Note(TimeSpan.FromSeconds(1), 1000, Options)));
    }

    [Fact]
    public void Speed_is_no_credit_for_later()
    {
        var pace = default(PeerPace);
        Assert.True(pace.Note(TimeSpan.FromSeconds(1), int.MaxValue, Options));

        Assert.False(pace.Note(TimeSpan.FromSeconds(30), 0, Options));
    }

    [Fact]
    public void A_command_that_is_done_settles_what_was_owed()
    {
        var pace = default(PeerPace);
        Assert.True(pace.Note(TimeSpan.FromSeconds(29), 0, Options));
        pace.Reset();

        Assert.True(pace.Note(TimeSpan.FromSeconds(29), 0, Options));
    }

    [Fact]
    public void Without_a_pace_any_byte_counts()
    {
        var pace = default(PeerPace);
        var any = Options with { MinBytesPerSecond = 0 };

        Assert.All(Enumerable.Range(0, 1000), _ => Assert.True(pace.Note(TimeSpan.FromSeconds(29), 1, any)));
        Assert.False(pace.Note(TimeSpan.FromSeconds(30), 0, any));
    }
}
