using KvMesh.Cluster.Membership;
using KvMesh.Remote.Redis.Coordination;
using KvMesh.TestKit;
using KvMesh.TestKit.Coordination;

namespace KvMesh.Remote.Tests.Redis;

public sealed class RedisLinkTests
{
    [Fact]
    public async Task A_connection_that_brings_no_answer_is_given_up_also_when_the_client_says_at_once_that_there_is_none()
    {
        await using var redis = await RestartableRedis.StartAsync();
        var clock = new SimulatedClock();
        await using var link = new RedisLink(redis.Address, "test", clock);
        await Eventually.Holds(() => AnswersAsync(link), "an answer");
        await redis.KillAsync();
        await Eventually.Holds(async () => !await AnswersAsync(link), "silence");
        Assert.Equal(1, link.Openings);

        clock.Advance(TimeSpan.FromSeconds(16));
        await Eventually.Holds(
            async () =>
            {
                await AnswersAsync(link);
                return link.Openings > 1;
            },
            "another connection");
        Assert.Equal(2, link.Openings);

        await redis.RestartAsync(keepsData: false);
        await Eventually.Holds(() => AnswersAsync(link), "an answer again");
    }

    [Fact]
    public void Clients_give_a_connection_up_at_different_times_and_none_before_two_seconds()
    {
        var delays = Enumerable.Range(0, 500).Select(client => Enumerable.Range(0, 4000).First(delay => new ScatteredRetry($"kvmesh-node-{client}").ShouldRetry(0, delay))).ToList();

        Assert.InRange(delays.Min(), 2000, 2100);
        Assert.InRange(delays.Max(), 2900, 3000);
        Assert.True(delays.GroupBy(delay => delay / 100).Max(slot => slot.Count()) < 150);
    }

    private static async Task<bool> AnswersAsync(RedisLink link)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        try
        {
            await link.EvaluateAsync("return 1", [], [], limit.Token);
            return true;
        }
        catch (Exception exception) when (exception is StoreSilentException or OperationCanceledException)
        {
            return false;
        }
    }
}
