using System.Collections.Immutable;
using System.Globalization;
using KvMesh.Cluster.Membership;
using KvMesh.TestKit;

namespace KvMesh.Cluster.Tests.Membership;

public sealed class MemberTableTests
{
    private readonly SimulatedClock _clock = new();
    private readonly MembershipOptions _options = new();
    private readonly MemberTable _table;

    public MemberTableTests() => _table = new MemberTable(Id(0), 1, 1, _options, _clock);

    [Fact]
    public void More_late_members_than_could_be_asked_after_are_all_kept()
    {
        Begin(960);
        Answer(silent: Names(1, 310));

        // Answers take long, and all that is asked after lives.
        for (var beat = 0; beat < 10; beat++)
        {
            Ask(TimeSpan.FromMilliseconds(950), heard: asked => asked);
            Assert.Equal(960, Seen);
        }
    }

    [Fact]
    public void Who_is_not_heard_when_it_is_asked_after_in_time_goes()
    {
        Begin(30);
        Answer(silent: Names(1, 2));

        Ask(_options.Confirmation - TimeSpan.FromTicks(1), heard: _ => []);
        Assert.Equal(30, Seen);
        Ask(TimeSpan.FromTicks(1), heard: asked => [.. asked.Where(id => id == Id(1))]);

        Assert.Equal(Id(2), Assert.Single(_table.Gone));
        Assert.Equal(29, Seen);
    }

    [Fact]
    public void A_question_that_was_asked_too_early_takes_nobody_away_however_late_its_answer_comes()
    {
        Begin(30);
        Answer(silent: Names(1, 1));
        var asked = _table.TakeDoubted();
        var askedAt = _clock.GetTimestamp();

        _clock.Advance(_options.Confirmation * 1.5);
        Answer(asked, askedAt);

        Assert.Equal(30, Seen);
    }

    [Fact]
    public void While_the_store_is_behind_nobody_goes_and_what_it_said_counts_for_nothing()
    {
        Begin(30);
        Answer(silent: Names(1, 9));
        for (var beat = 0; beat < 20; beat++)
        {
            Ask(TimeSpan.FromMilliseconds(500), heard: _ => [], isBehind: true);
            Assert.Equal(30, Seen);
        }

        Ask(TimeSpan.FromMilliseconds(500), heard: _ => []);
        Assert.Equal(30, Seen);
        Ask(_options.Confirmation, heard: _ => []);
        Assert.Equal(21, Seen);
    }

    [Fact]
    public void Who_is_missing_from_a_store_that_lost_everything_has_time_to_come_back()
    {
        Begin(30);
        _table.StoreAnswered([], _clock.GetTimestamp(), Reply() with { IsComplete = true, Members = [.. Names(0, 25).Select(Member)] });

        for (var waited = TimeSpan.Zero; waited < _options.FailureTime; waited += _options.HeartbeatInterval)
        {
            Ask(_options.HeartbeatInterval, heard: _ => []);
            Assert.Equal(30, Seen);
        }

        for (var waited = TimeSpan.Zero; waited < _options.FailureTime && Seen > 26; waited += _options.HeartbeatInterval)
        {
            Ask(_options.HeartbeatInterval, heard: _ => []);
        }

        Assert.Equal(26, Seen);
    }

    [Fact]
    public void A_long_answer_is_no_pause_for_who_says_meanwhile_that_it_lives()
    {
        Begin(30);
        for (var beat = 0; beat < 10; beat++)
        {
            _clock.Advance(TimeSpan.FromSeconds(1));
            _table.StoreLives();
        }

        Answer();
        Assert.False(_table.IsFrozen);
    }

    private int Seen => _table.ToView(1, null, Record(0)).Nodes.Length;

    private static NodeId Id(int index) => NodeId.Parse(string.Create(CultureInfo.InvariantCulture, $"n{index}"));

    private static ImmutableArray<NodeId> Names(int first, int last) => [.. Enumerable.Range(first, last - first + 1).Select(Id)];

    private static NodeRecord Record(int index) => new() { Id = Id(index), NativeAddress = "127.0.0.1:1" };

    private static StoredMember Member(NodeId id) => new(new NodeRecord { Id = id, NativeAddress = "127.0.0.1:1" }, HasLeft: false, IsSilent: false);

    /// <summary>Everybody is read, and the store has answered for long.</summary>
    private void Begin(int members)
    {
        _table.StoreAnswered([], _clock.GetTimestamp(), Reply() with { IsComplete = true, Members = [.. Names(0, members - 1).Select(Member)] });
        for (var beat = 0; beat < 10; beat++)
        {
            _clock.Advance(_options.HeartbeatInterval);
            Answer();
        }

        Assert.False(_table.IsFrozen);
        Assert.Equal(members, Seen);
    }

    private void Ask(TimeSpan after, Func<ImmutableArray<NodeId>, ImmutableArray<NodeId>> heard, bool isBehind = false)
    {
        _clock.Advance(after);
        var asked = _table.TakeDoubted();
        _table.StoreAnswered(asked, _clock.GetTimestamp(), Reply() with { Heard = heard(asked), IsBehind = isBehind });
        _table.Decide();
    }

    private void Answer(ImmutableArray<NodeId>? silent = null) => Answer([], _clock.GetTimestamp(), silent);

    private void Answer(ImmutableArray<NodeId> asked, long askedAt, ImmutableArray<NodeId>? silent = null)
    {
        _table.StoreAnswered(asked, askedAt, Reply() with { Silent = silent ?? [] });
        _table.Decide();
    }

    private BeatReply Reply() => new(
        BeatOutcome.Member, null, new StoreMark("life", 1, TimeSpan.FromTicks(_clock.GetTimestamp())), IsComplete: false, [], [], [], SchedulerToken: 0);
}
