using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Scheduling;
using KvMesh.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Cluster.Tests.Membership;

/// <summary>A store that answers late is not asked the same again, and what it says is used.</summary>
public sealed class LateAnswerTests : IAsyncDisposable
{
    private static readonly MembershipOptions Options = new() { StoreTimeout = TimeSpan.FromMilliseconds(50), AnswerPatience = TimeSpan.FromHours(1) };

    private readonly HeldStore _store = new();
    private readonly KvMesh.Cluster.Membership.Membership _member;

    public LateAnswerTests()
    {
        var seat = new MembershipSeat(new NodeRecord { Id = NodeId.Parse("a"), NativeAddress = "a:1" }, "owner");
        _member = new KvMesh.Cluster.Membership.Membership(
            _store, seat, Options, new OrderGate(), TimeProvider.System, NullLoggerFactory.Instance);
    }

    [Fact]
    public async Task A_beat_whose_answer_is_late_is_not_sent_again_and_its_answer_counts()
    {
        await _member.TurnAsync(CancellationToken.None);
        Assert.Equal("a", Sees);
        var beats = _store.Beats;
        await _store.Inner.JoinAsync(new JoinRequest(new NodeRecord { Id = NodeId.Parse("b"), Incarnation = 1, NativeAddress = "b:1" }, "other"), CancellationToken.None);
        _store.Hold();

        await _member.TurnAsync(CancellationToken.None);
        await _member.TurnAsync(CancellationToken.None);
        Assert.Equal(beats + 1, _store.Beats);
        Assert.Equal("a", Sees);
        Assert.True(_member.Current.IsFrozen);

        _store.Release();
        await UntilAnsweredAsync();
        Assert.Equal(beats + 1, _store.Beats);
        Assert.Equal("a,b", Sees);
    }

    [Fact]
    public async Task A_limit_that_runs_out_while_its_turn_ends_harms_nobody()
    {
        var clock = new LateTimers();
        var seat = new MembershipSeat(new NodeRecord { Id = NodeId.Parse("c"), NativeAddress = "c:1" }, "owner");
        await using var member = new KvMesh.Cluster.Membership.Membership(_store, seat, Options, new OrderGate(), clock, NullLoggerFactory.Instance);
        await member.TurnAsync(CancellationToken.None);

        Assert.True(clock.FireThoseThatEnded() > 0, "no timer has ended");
        await member.TurnAsync(CancellationToken.None);
        Assert.Equal(MemberState.Member, member.Standing.State);
    }

    [Fact]
    public async Task A_join_whose_answer_is_late_is_not_made_again()
    {
        _store.Hold();
        await _member.TurnAsync(CancellationToken.None);
        await _member.TurnAsync(CancellationToken.None);
        Assert.Equal(MemberState.Joining, _member.Standing.State);

        _store.Release();
        await UntilAnsweredAsync();

        Assert.Equal(1, _store.Joins);
        Assert.Equal(1, _member.Standing.Incarnation);
    }

    [Fact]
    public async Task A_store_that_was_silent_is_told_again_who_this_is()
    {
        await _member.TurnAsync(CancellationToken.None);
        _store.IsDown = true;
        await _member.TurnAsync(CancellationToken.None);
        _store.IsDown = false;

        await _member.TurnAsync(CancellationToken.None);
        Assert.Equal("a:1", _store.Last!.Changed!.NativeAddress);
        await _member.TurnAsync(CancellationToken.None);
        Assert.Null(_store.Last!.Changed);
    }

    [Fact]
    public async Task A_member_whose_answer_is_long_on_its_way_says_meanwhile_that_it_lives()
    {
        await _member.TurnAsync(CancellationToken.None);
        await _store.Inner.JoinAsync(new JoinRequest(new NodeRecord { Id = NodeId.Parse("b"), Incarnation = 1, NativeAddress = "b:1" }, "other"), CancellationToken.None);
        var beats = _store.Beats;
        _store.Hold(answersSignsOfLife: true);

        // A turn ends unanswered when the machine gave it no time at all; those that are left count.
        await Eventually.Holds(
            async () =>
            {
                await _member.TurnAsync(CancellationToken.None);
                return _store.SignsOfLife >= 3;
            },
            "three signs of life");
        Assert.Equal(beats + 1, _store.Beats);
        Assert.Equal("a", Sees);

        _store.Release();
        await UntilAnsweredAsync();
        Assert.Equal("a,b", Sees);
    }

    public ValueTask DisposeAsync() => _member.DisposeAsync();

    /// <summary>Turns until the answer that was held has come, and none more.</summary>
    private Task UntilAnsweredAsync() => Eventually.Holds(
        async () =>
        {
            await _member.TurnAsync(CancellationToken.None);
            return _member.Figures.LateAnswers == 1;
        },
        "the late answer");

    private string Sees => string.Join(',', _member.Current.Nodes.Select(node => node.Id));

    /// <summary>Timers whose callbacks run when they have just been disposed, as those of the pool may.</summary>
    private sealed class LateTimers : TimeProvider
    {
        private readonly List<Action> _ended = [];

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) => new Ending(() => _ended.Add(() => callback(state)));

        public int FireThoseThatEnded()
        {
            var ended = _ended.ToArray();
            Array.ForEach(ended, fire => fire());
            return ended.Length;
        }

        private sealed class Ending(Action end) : ITimer
        {
            public bool Change(TimeSpan dueTime, TimeSpan period) => true;

            public void Dispose() => end();

            public ValueTask DisposeAsync()
            {
                Dispose();
                return ValueTask.CompletedTask;
            }
        }
    }

    /// <summary>Does what it is asked at once, and answers when the test lets it.</summary>
    private sealed class HeldStore : IMembershipStore
    {
        private TaskCompletionSource _gate = new();
        private bool _answersSignsOfLife;

        public HeldStore() => _gate.SetResult();

        public event Action? Changed
        {
            add => Inner.Changed += value;
            remove => Inner.Changed -= value;
        }

        public EmbeddedMembershipStore Inner { get; } = new("test", TimeProvider.System);

        public int Beats { get; private set; }

        public int Joins { get; private set; }

        public bool IsDown { get; set; }

        public BeatRequest? Last { get; private set; }

        public string Description => "a store that is held";

        public int SignsOfLife { get; private set; }

        public void Hold(bool answersSignsOfLife = false) => (_gate, _answersSignsOfLife) = (new TaskCompletionSource(), answersSignsOfLife);

        public void Release() => _gate.SetResult();

        public ValueTask<ClusterIdentity> AgreeAsync(ClusterIdentity? known, CancellationToken cancellationToken) => Inner.AgreeAsync(known, cancellationToken);

        public ValueTask<JoinReply> JoinAsync(JoinRequest request, CancellationToken cancellationToken)
        {
            Joins++;
            return AnswerAsync(Inner.JoinAsync(request, cancellationToken));
        }

        public ValueTask<BeatReply> BeatAsync(BeatRequest request, CancellationToken cancellationToken)
        {
            Beats++;
            Last = request;
            return IsDown ? throw new StoreSilentException("it is down") : AnswerAsync(Inner.BeatAsync(request, cancellationToken));
        }

        public async ValueTask<BeatOutcome> RenewAsync(NodeId id, long incarnation, string owner, CancellationToken cancellationToken)
        {
            var renewal = Inner.RenewAsync(id, incarnation, owner, cancellationToken);
            SignsOfLife += _answersSignsOfLife ? 1 : 0;
            return _answersSignsOfLife ? await renewal : await AnswerAsync(renewal);
        }

        public ValueTask LeaveAsync(NodeId id, long incarnation, CancellationToken cancellationToken) => Inner.LeaveAsync(id, incarnation, cancellationToken);

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;

        private async ValueTask<T> AnswerAsync<T>(ValueTask<T> answer)
        {
            await _gate.Task;
            return await answer;
        }
    }
}
