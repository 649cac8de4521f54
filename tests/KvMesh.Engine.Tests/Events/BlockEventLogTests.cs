using KvMesh.Engine.Blocks;
using KvMesh.Engine.Events;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Events;

/// <summary>Who waits for news gets it, whatever others who wait do.</summary>
public sealed class BlockEventLogTests
{
    private readonly BlockEventLog _log = new();

    [Fact]
    public async Task Every_watcher_wakes_though_others_wait_again_at_once()
    {
        // One watcher takes each event as it comes and waits again; the other wants the last. Neither may swallow the other's wake-up.
        const int events = 2_000;
        var eager = Eventually.Run(() => Follow(step: 1, events));
        var late = Eventually.Run(() => Follow(step: 7, events));
        for (var index = 0; index < events; index++)
        {
            Append(index);
        }

        Assert.Equal(events, await eager.Within("the watcher of every event"));
        Assert.Equal(events, await late.Within("the watcher of the last event"));
    }

    [Fact]
    public async Task A_watcher_that_must_not_wait_any_longer_is_told_that_there_is_nothing()
    {
        using var stop = new CancellationTokenSource();
        var waiting = Eventually.Run(() => _log.Wait(0, Eventually.Patience * 2, stop.Token));
        await stop.CancelAsync();
        Assert.False(await waiting.Within("the end of the wait"));
        Assert.False(_log.Wait(0, Eventually.Patience * 2, stop.Token));
    }

    [Fact]
    public void A_wait_ends_with_its_time()
    {
        Assert.False(_log.Wait(0, TimeSpan.FromMilliseconds(1), CancellationToken.None));
        Append(0);
        Assert.True(_log.Wait(0, TimeSpan.Zero, CancellationToken.None));
    }

    /// <summary>Waits for every <paramref name="step"/>th event, with far more time than any wait may need. Returns the last sequence that it saw.</summary>
    private long Follow(int step, int events)
    {
        var after = 0L;
        while (after < events)
        {
            if (!_log.Wait(Math.Min(after + step, events) - 1, Eventually.Patience * 2, CancellationToken.None))
            {
                return -1;
            }

            after = _log.LastSequence;
        }

        return after;
    }

    private void Append(int index) => _log.Append(BlockEventKind.Stored, "default", new KeyBytes(TestBytes.Hash(1, index)), 100, BlockTiers.Host, isContent: true);
}
