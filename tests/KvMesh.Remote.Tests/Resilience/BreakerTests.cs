using KvMesh.Remote.Resilience;
using KvMesh.TestKit;

namespace KvMesh.Remote.Tests.Resilience;

public sealed class BreakerTests
{
    private readonly SimulatedClock _clock = new();
    private readonly Breaker _breaker;

    public BreakerTests() => _breaker = new Breaker(new BreakerOptions(), _clock);

    [Fact]
    public void Opens_after_two_failures_in_a_row_whatever_was_before()
    {
        for (var success = 0; success < 1000; success++)
        {
            _breaker.Succeeded();
        }

        _breaker.Failed();
        Assert.True(_breaker.IsClosed);
        _breaker.Failed();

        Assert.False(_breaker.IsClosed);
        Assert.Equal(1, _breaker.Opened);
    }

    [Fact]
    public void Stays_closed_while_failures_are_single()
    {
        for (var round = 0; round < 20; round++)
        {
            _breaker.Failed();
            _breaker.Succeeded();
        }

        Assert.True(_breaker.IsClosed);
    }

    [Fact]
    public void Failures_far_apart_do_not_count_together()
    {
        _breaker.Failed();
        _clock.Advance(TimeSpan.FromMinutes(1));
        _breaker.Failed();

        Assert.True(_breaker.IsClosed);
    }

    [Fact]
    public void Closes_by_a_probe_that_succeeds_when_its_time_has_come()
    {
        _breaker.Failed();
        _breaker.Failed();
        var probes = 0;
        bool Probe(bool outcome) => _breaker.TryProbe(() =>
        {
            probes++;
            return outcome;
        });

        Assert.False(Probe(true));
        Assert.Equal(0, probes);

        _clock.Advance(TimeSpan.FromSeconds(1));
        Assert.False(Probe(false));
        Assert.False(_breaker.IsClosed);

        // A probe that failed makes the next one wait longer.
        _clock.Advance(TimeSpan.FromMilliseconds(600));
        Probe(true);
        Assert.Equal(1, probes);

        _clock.Advance(TimeSpan.FromSeconds(1));
        Assert.True(Probe(true));
        Assert.True(_breaker.IsClosed);
    }
}
