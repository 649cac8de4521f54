using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Scheduling;
using KvMesh.Remote.Redis.Coordination;
using KvMesh.TestKit;
using KvMesh.TestKit.Coordination;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Remote.Tests.Redis;

/// <summary>Members on a real Redis that dies, hangs and comes back. Times are long enough for a busy machine: what counts is the order.</summary>
public sealed class RedisFaultTests : IAsyncLifetime
{
    private static readonly MembershipOptions Times = new()
    {
        HeartbeatInterval = TimeSpan.FromMilliseconds(100),
        FailureTime = TimeSpan.FromSeconds(12),
        StoreTimeout = TimeSpan.FromSeconds(1),
    };

    private readonly List<Member> _members = [];
    private RestartableRedis _redis = null!;

    public async Task InitializeAsync() => _redis = await RestartableRedis.StartAsync();

    public async Task DisposeAsync()
    {
        foreach (var member in _members)
        {
            await member.DisposeAsync();
        }

        await _redis.DisposeAsync();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Redis_killed_and_started_again_costs_no_member(bool keepsData)
    {
        var before = await StartThreeAsync();
        var identity = _members[0].Membership.Current.Identity;
        await _redis.KillAsync();
        await Eventually.Holds(() => _members.All(member => member.Membership.Current.IsFrozen), "frozen views");

        await _redis.RestartAsync(keepsData);

        await Eventually.Holds(() => _members.All(member => !member.Membership.Current.IsFrozen), "views that move again");
        Assert.All(_members, member => Assert.Equal("a,b,c", member.Sees));
        Assert.All(_members, member => Assert.Equal(3, member.FewestSeen));
        Assert.Equal(before, _members.Select(member => member.Membership.Standing.Incarnation));
        Assert.All(_members, member => Assert.Equal(identity, member.Membership.Current.Identity));
        var late = Join("d");
        await Eventually.Holds(() => _members.All(member => member.Sees == "a,b,c,d"), "a late joiner in every view");
        Assert.True(late.Membership.Standing.Incarnation > before.Max());
    }

    [Fact]
    public async Task Redis_stopped_for_longer_than_a_failure_time_costs_no_member()
    {
        await StartThreeAsync();
        await _redis.SignalAsync("STOP");
        await Eventually.Holds(
            () => _members.All(member => member.Membership.Figures.SilentSince is var since && since != 0 && TimeProvider.System.GetElapsedTime(since) > Times.FailureTime),
            "a silence longer than the failure time");
        Assert.All(_members, member => Assert.True(member.Membership.Current.IsFrozen));

        await _redis.SignalAsync("CONT");

        await Eventually.Holds(() => _members.All(member => !member.Membership.Current.IsFrozen), "views that move again");
        Assert.All(_members, member => Assert.Equal("a,b,c", member.Sees));
        Assert.All(_members, member => Assert.Equal(3, member.FewestSeen));
    }

    [Fact]
    public async Task A_node_that_starts_without_redis_joins_when_it_is_there()
    {
        await _redis.KillAsync();
        var member = Join("a");
        Assert.Equal(MemberState.Joining, (await member.Membership.FirstWord.Within("the first word")).State);

        await _redis.RestartAsync(keepsData: false);

        await Eventually.Holds(() => member.Sees == "a", "the node in its own view");
    }

    [Fact]
    public async Task Of_two_that_race_for_one_id_one_wins()
    {
        var one = Join("a", "owner-1");
        var other = Join("a", "owner-2");

        await Eventually.Holds(() => _members.Count(member => member.Membership.Standing.IsContested) == 1, "one that is refused");

        await Eventually.Holds(() => _members.Count(member => member.Membership.Standing.State == MemberState.Member) == 1, "one that is a member");
        Assert.True(one.Membership.Standing.IsContested ^ other.Membership.Standing.IsContested);
    }

    [Fact]
    public async Task A_dead_node_is_noticed_and_returns_with_a_higher_incarnation()
    {
        var before = await StartThreeAsync();
        await _members[1].Membership.DisposeAsync();
        await Eventually.Holds(() => _members[0].Sees == "a,c" && _members[2].Sees == "a,c", "b gone");

        var returned = Join("b", lastIncarnation: before[1]);

        await Eventually.Holds(() => _members[0].Sees == "a,b,c" && returned.Sees == "a,b,c", "b back");
        Assert.True(_members[0].Membership.Current.Find(NodeId.Parse("b"))!.Incarnation > before.Max());
    }

    private async Task<List<long>> StartThreeAsync()
    {
        Join("a");
        Join("b");
        Join("c");
        await Eventually.Holds(() => _members.All(member => member.Sees == "a,b,c"), "three members in every view");
        foreach (var member in _members)
        {
            member.BeginToCount();
        }

        return [.. _members.Select(member => member.Membership.Standing.Incarnation)];
    }

    private Member Join(string id, string? owner = null, long lastIncarnation = 0)
    {
        var member = new Member(_redis.Address, id, owner ?? $"owner-{id}", lastIncarnation);
        _members.Add(member);
        return member;
    }

    private sealed class Member : IAsyncDisposable
    {
        private readonly RedisLink _link;
        private readonly CancellationTokenSource _stop = new();
        private Task _counting = Task.CompletedTask;

        public Member(string address, string id, string owner, long lastIncarnation)
        {
            _link = new RedisLink(address, id, TimeProvider.System);
            var seat = new MembershipSeat(new NodeRecord { Id = NodeId.Parse(id), NativeAddress = $"{id}:1" }, owner, lastIncarnation);
            Membership = new Membership(
                new RedisMembershipStore(_link, "faults"), seat, Times, new OrderGate(), TimeProvider.System, NullLoggerFactory.Instance);
            Membership.Start();
        }

        public Membership Membership { get; }

        /// <summary>Fewest nodes in any view since <see cref="BeginToCount"/>.</summary>
        public int FewestSeen { get; private set; } = int.MaxValue;

        public string Sees => string.Join(',', Membership.Current.Nodes.Select(node => node.Id));

        public void BeginToCount() => _counting = CountAsync();

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            await _counting;
            await Membership.DisposeAsync();
            await _link.DisposeAsync();
            _stop.Dispose();
        }

        private async Task CountAsync()
        {
            try
            {
                await foreach (var view in Membership.WatchAsync(_stop.Token))
                {
                    FewestSeen = Math.Min(FewestSeen, view.Nodes.Length);
                }
            }
            catch (OperationCanceledException)
            {
                // The test is over.
            }
        }
    }
}
