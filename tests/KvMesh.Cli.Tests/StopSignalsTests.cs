using KvMesh.TestKit;

namespace KvMesh.Cli.Tests;

public sealed class StopSignalsTests
{
    private readonly SimulatedClock _clock = new();
    private int _ends;

    [Fact]
    public void The_first_signal_asks_to_stop()
    {
        using var signals = Signals();
        Assert.False(signals.Token.IsCancellationRequested);
        signals.Receive();
        Assert.True(signals.Token.IsCancellationRequested);
        Assert.Equal(0, _ends);
    }

    [Fact]
    public void A_signal_right_behind_the_first_is_the_same_wish()
    {
        using var signals = Signals();
        signals.Receive();
        _clock.Advance(TimeSpan.FromMilliseconds(999));
        signals.Receive();
        Assert.Equal(0, _ends);
    }

    [Fact]
    public void A_later_signal_ends_the_process()
    {
        using var signals = Signals();
        signals.Receive();
        _clock.Advance(TimeSpan.FromSeconds(1));
        signals.Receive();
        Assert.Equal(1, _ends);
    }

    private StopSignals Signals() => new(TextWriter.Null, _clock, () => _ends++);
}
