using System.Collections.Immutable;
using KvMesh.Cluster.Membership;

namespace KvMesh.TestKit.Coordination;

/// <summary>What every membership store promises.</summary>
public abstract class MembershipStoreContract
{
    private static readonly TimeSpan Never = TimeSpan.FromDays(1);
    private static readonly CancellationToken None = CancellationToken.None;

    /// <summary>A store of the cluster of this test; each call is another client of the same one.</summary>
    protected abstract IMembershipStore Connect();

    [Fact]
    public async Task Each_run_has_a_higher_incarnation_than_the_ones_before()
    {
        await using var store = Connect();

        var first = await store.JoinAsync(Request("a", "owner-a"), None);
        var second = await store.JoinAsync(Request("b", "owner-b"), None);
        var third = await store.JoinAsync(Request("a", "owner-a"), None);

        Assert.True(first.Incarnation > 0);
        Assert.True(second.Incarnation > first.Incarnation);
        Assert.True(third.Incarnation > second.Incarnation);
    }

    [Fact]
    public async Task An_incarnation_is_not_below_what_the_node_asks_for()
    {
        await using var store = Connect();

        Assert.Equal(41, (await store.JoinAsync(Request("a", "o", incarnation: 41), None)).Incarnation);
        Assert.Equal(42, (await store.JoinAsync(Request("b", "p", incarnation: 7), None)).Incarnation);
    }

    [Fact]
    public async Task An_id_that_another_holds_is_refused_and_the_holder_is_named()
    {
        await using var older = Connect();
        await using var younger = Connect();
        var incarnation = (await older.JoinAsync(Request("a", "owner-1", address: "10.0.0.1:8601"), None)).Incarnation;

        var reply = await younger.JoinAsync(Request("a", "owner-2", address: "10.0.0.2:8601"), None);

        Assert.False(reply.IsJoined);
        Assert.Equal("10.0.0.1:8601", reply.Holder!.Record.NativeAddress);
        Assert.Equal(incarnation, reply.Holder.Record.Incarnation);
        Assert.Equal(BeatOutcome.Member, (await BeatAsync(older, "a", incarnation, "owner-1")).Outcome);
    }

    [Fact]
    public async Task A_later_run_of_one_data_directory_fences_the_earlier_one()
    {
        await using var store = Connect();
        var earlier = (await store.JoinAsync(Request("a", "owner"), None)).Incarnation;
        var later = (await store.JoinAsync(Request("a", "owner", address: "10.0.0.2:1"), None)).Incarnation;

        var reply = await BeatAsync(store, "a", earlier, "owner");

        Assert.Equal(BeatOutcome.Fenced, reply.Outcome);
        Assert.Equal(later, reply.Holder!.Record.Incarnation);
        Assert.Equal("10.0.0.2:1", reply.Holder.Record.NativeAddress);
        Assert.False((await store.JoinAsync(Request("a", "owner", incarnation: earlier) with { IsReturn = true }, None)).IsJoined);
        Assert.False((await store.JoinAsync(Request("a", "owner") with { MayReplaceOwn = false }, None)).IsJoined);
        Assert.Equal(BeatOutcome.Member, (await BeatAsync(store, "a", later, "owner")).Outcome);
    }

    [Fact]
    public async Task A_holder_that_does_not_beat_can_be_replaced_and_one_that_does_cannot()
    {
        await using var store = Connect();
        var incarnation = (await store.JoinAsync(Request("a", "owner-1"), None)).Incarnation;
        var seen = (await store.JoinAsync(Request("a", "owner-2"), None)).Holder!.Mark;
        var moment = (await BeatAsync(store, "b", 1, "")).Mark;
        await Eventually.Holds(
            async () =>
            {
                await BeatAsync(store, "a", incarnation, "owner-1", seen: moment);
                return (await store.JoinAsync(Request("a", "owner-2"), None)).Holder!.Mark != seen;
            },
            "a mark that changed with a beat");

        var refused = await store.JoinAsync(Request("a", "owner-2") with { Silent = seen }, None);
        var joined = await store.JoinAsync(Request("a", "owner-2") with { Silent = refused.Holder!.Mark }, None);

        Assert.False(refused.IsJoined);
        Assert.True(joined.Incarnation > incarnation);
        Assert.Equal(BeatOutcome.Fenced, (await BeatAsync(store, "a", incarnation, "owner-1")).Outcome);
    }

    [Fact]
    public async Task A_first_beat_reads_everything_and_later_ones_what_changed()
    {
        await using var store = Connect();
        var a = (await store.JoinAsync(Request("a", "o-a"), None)).Incarnation;
        var b = (await store.JoinAsync(Request("b", "o-b"), None)).Incarnation;

        var first = await BeatAsync(store, "a", a, "o-a");
        var second = await BeatAsync(store, "a", a, "o-a", seen: first.Mark);
        var changed = Request("b", "o-b", address: "10.9.9.9:1").Record with { Incarnation = b, Revision = 3, State = NodeState.Draining };
        await BeatAsync(store, "b", b, "o-b", changed: changed);
        var third = await BeatAsync(store, "a", a, "o-a", seen: second.Mark);

        Assert.True(first.IsComplete);
        Assert.Equal(["a", "b"], first.Members.Select(member => member.Record.Id.Value).Order());
        Assert.False(second.IsComplete);
        Assert.Empty(second.Members);
        var member = Assert.Single(third.Members);
        Assert.Equal(("10.9.9.9:1", 3L, NodeState.Draining, b), (member.Record.NativeAddress, member.Record.Revision, member.Record.State, member.Record.Incarnation));
    }

    [Fact]
    public async Task A_record_comes_back_as_it_was_given()
    {
        await using var store = Connect();
        var given = new NodeRecord
        {
            Id = NodeId.Parse("node-1.a_b"),
            Incarnation = 1,
            Revision = 5,
            NativeAddress = "[::1]:8601",
            HttpAddress = "http://h|ost:1/",
            RespAddress = "h:2",
            Machine = "müller|\"box\"",
            Version = "1.2.3",
            MinProtocol = 2,
            MaxProtocol = 3,
            Tiers = [new TierCapacity("host", 1L << 40, 7)],
        };
        var incarnation = (await store.JoinAsync(new JoinRequest(given, "o"), None)).Incarnation;

        var read = Assert.Single((await BeatAsync(store, given.Id.Value, incarnation, "o")).Members).Record;

        Assert.Equal(given with { Incarnation = incarnation, Tiers = [] }, read with { Tiers = [] });
        Assert.Equal(given.Tiers.AsEnumerable(), read.Tiers.AsEnumerable());
    }

    [Fact]
    public async Task A_member_that_leaves_is_told_as_left_and_its_id_is_free()
    {
        await using var store = Connect();
        var a = (await store.JoinAsync(Request("a", "o-a"), None)).Incarnation;
        var b = (await store.JoinAsync(Request("b", "o-b"), None)).Incarnation;
        var mark = (await BeatAsync(store, "a", a, "o-a")).Mark;

        await store.LeaveAsync(NodeId.Parse("b"), b + 1, None);
        Assert.Empty((await BeatAsync(store, "a", a, "o-a", seen: mark)).Members);
        await store.LeaveAsync(NodeId.Parse("b"), b, None);

        Assert.True(Assert.Single((await BeatAsync(store, "a", a, "o-a", seen: mark)).Members).HasLeft);
        Assert.Equal(BeatOutcome.Fenced, (await BeatAsync(store, "b", b, "o-b")).Outcome);
        Assert.True((await store.JoinAsync(Request("b", "another"), None)).Incarnation > b);
    }

    [Fact]
    public async Task A_member_that_the_store_forgot_returns_with_its_incarnation()
    {
        await using var store = Connect();

        Assert.Equal(BeatOutcome.Unknown, (await BeatAsync(store, "a", 9, "o")).Outcome);
        var reply = await store.JoinAsync(Request("a", "o", incarnation: 9) with { IsReturn = true }, None);

        Assert.Equal(9, reply.Incarnation);
        Assert.Equal(BeatOutcome.Member, (await BeatAsync(store, "a", 9, "o")).Outcome);
        Assert.Equal(10, (await store.JoinAsync(Request("b", "p"), None)).Incarnation);
    }

    [Fact]
    public async Task Names_who_fell_silent_once_and_tells_who_asks_of_its_return()
    {
        await using var store = Connect();
        var a = (await store.JoinAsync(Request("a", "o-a"), None)).Incarnation;
        var b = (await store.JoinAsync(Request("b", "o-b"), None)).Incarnation;
        var limit = TimeSpan.FromMilliseconds(30);
        ImmutableArray<NodeId> doubted = [NodeId.Parse("b"), NodeId.Parse("nobody")];
        StoreMark mark = default;
        await Eventually.Holds(
            async () =>
            {
                PassTime(TimeSpan.FromMilliseconds(10));
                var reply = await BeatAsync(store, "a", a, "o-a", limit, mark, doubted: doubted);
                mark = reply.Mark;
                return reply.Silent.Contains(NodeId.Parse("b"));
            },
            "b among the silent");

        PassTime(TimeSpan.FromMilliseconds(100));
        var once = await BeatAsync(store, "a", a, "o-a", limit, mark, doubted: doubted);
        await BeatAsync(store, "b", b, "o-b", limit);
        var after = await BeatAsync(store, "a", a, "o-a", Never, once.Mark, doubted: doubted);

        Assert.DoesNotContain(NodeId.Parse("b"), once.Silent);
        Assert.Empty(once.Heard);
        Assert.Equal(NodeId.Parse("b"), Assert.Single(after.Heard));
        Assert.Empty(after.Members);
        Assert.Empty(after.Silent);
    }

    [Fact]
    public async Task Who_reads_everything_is_told_of_all_that_are_silent()
    {
        await using var store = Connect();
        var a = (await store.JoinAsync(Request("a", "o-a"), None)).Incarnation;
        await store.JoinAsync(Request("b", "o-b"), None);
        var limit = TimeSpan.FromMilliseconds(30);

        await Eventually.Holds(
            async () =>
            {
                PassTime(TimeSpan.FromMilliseconds(10));
                var reply = await BeatAsync(store, "a", a, "o-a", limit);
                return reply.Silent.Contains(NodeId.Parse("b")) && reply.Members.Any(member => member is { IsSilent: true, Record.Id.Value: "b" });
            },
            "b among the silent");
        PassTime(TimeSpan.FromHours(0.5));
        var again = await BeatAsync(store, "a", a, "o-a", limit);

        Assert.Contains(NodeId.Parse("b"), again.Silent);
        Assert.Contains(again.Members, member => member is { IsSilent: false, Record.Id.Value: "a" });
    }

    [Fact]
    public async Task A_late_beat_and_the_same_record_again_are_no_change()
    {
        await using var store = Connect();
        var a = (await store.JoinAsync(Request("a", "o-a"), None)).Incarnation;
        var b = (await store.JoinAsync(Request("b", "o-b"), None)).Incarnation;
        var mark = (await BeatAsync(store, "a", a, "o-a")).Mark;

        for (var beat = 0; beat < 20; beat++)
        {
            PassTime(TimeSpan.FromMilliseconds(10));
            await BeatAsync(store, "b", b, "o-b", TimeSpan.FromTicks(1), changed: Request("b", "o-b").Record with { Incarnation = b });
        }

        var after = await BeatAsync(store, "a", a, "o-a", Never, mark);
        Assert.Empty(after.Members);
        Assert.Equal(mark.Version, after.Mark.Version);
    }

    [Fact]
    public async Task A_sign_of_life_counts_as_a_beat_and_changes_nothing()
    {
        await using var store = Connect();
        var a = (await store.JoinAsync(Request("a", "o-a"), None)).Incarnation;
        var b = (await store.JoinAsync(Request("b", "o-b"), None)).Incarnation;
        var mark = (await BeatAsync(store, "a", a, "o-a")).Mark;
        var seen = (await store.JoinAsync(Request("b", "other"), None)).Holder!.Mark;

        await Eventually.Holds(
            async () =>
            {
                PassTime(TimeSpan.FromMilliseconds(10));
                Assert.Equal(BeatOutcome.Member, await store.RenewAsync(NodeId.Parse("b"), b, "o-b", None));
                return (await store.JoinAsync(Request("b", "other"), None)).Holder!.Mark != seen;
            },
            "a mark that changed with a sign of life");

        Assert.Empty((await BeatAsync(store, "a", a, "o-a", seen: mark)).Members);
        Assert.Equal(BeatOutcome.Fenced, await store.RenewAsync(NodeId.Parse("b"), b + 1, "o-b", None));
        Assert.Equal(BeatOutcome.Fenced, await store.RenewAsync(NodeId.Parse("b"), b, "another", None));
        Assert.Equal(BeatOutcome.Unknown, await store.RenewAsync(NodeId.Parse("nobody"), 1, "o", None));
    }

    [Fact]
    public async Task Who_is_not_known_reads_nothing_before_it_joins()
    {
        await using var store = Connect();
        await store.JoinAsync(Request("a", "o-a"), None);

        var unknown = await BeatAsync(store, "b", 7, "o-b");
        await store.JoinAsync(Request("b", "o-b", incarnation: 7) with { IsReturn = true }, None);
        var known = await BeatAsync(store, "b", 7, "o-b");

        Assert.Equal(BeatOutcome.Unknown, unknown.Outcome);
        Assert.Empty(unknown.Members);
        Assert.False(unknown.IsComplete);
        Assert.Equal(known.Mark.Lineage, unknown.Mark.Lineage);
        Assert.Equal(2, known.Members.Length);
    }

    [Fact]
    public async Task A_store_in_which_many_are_late_says_that_it_is_behind()
    {
        await using var store = Connect();
        var a = (await store.JoinAsync(Request("a", "o-a"), None)).Incarnation;
        var others = new Dictionary<string, long>();
        foreach (var id in new[] { "b", "c", "d" })
        {
            others[id] = (await store.JoinAsync(Request(id, $"o-{id}"), None)).Incarnation;
        }

        // Three of four are silent, and have not been for long; once nobody remembers when they beat, they are silent.
        var limit = TimeSpan.FromMilliseconds(400);
        ImmutableArray<NodeId> doubted = [NodeId.Parse("b")];
        await Eventually.Holds(
            async () =>
            {
                PassTime(TimeSpan.FromMilliseconds(10));
                var reply = await BeatAsync(store, "a", a, "o-a", limit, doubted: doubted);
                if (reply is { IsBehind: false, Silent.Length: 3 })
                {
                    // A busy machine has slept through the time between: once more.
                    foreach (var (id, incarnation) in others)
                    {
                        await store.RenewAsync(NodeId.Parse(id), incarnation, $"o-{id}", None);
                    }
                }

                return reply.IsBehind;
            },
            "a store that is behind");
        await Eventually.Holds(
            async () =>
            {
                PassTime(TimeSpan.FromMilliseconds(10));
                return (await BeatAsync(store, "a", a, "o-a", limit, doubted: doubted)) is { IsBehind: false, Silent.Length: 3 };
            },
            "a store that is not behind any more");
    }

    [Fact]
    public async Task The_first_identity_stays_and_an_older_one_replaces_it()
    {
        await using var store = Connect();

        var first = await store.AgreeAsync(null, None);
        var again = await store.AgreeAsync(null, None);
        var older = first with { CreatedAt = first.CreatedAt - TimeSpan.FromDays(1), Secret = new(3, 5) };
        var younger = first with { CreatedAt = first.CreatedAt + TimeSpan.FromDays(1), Secret = new(7, 9) };

        Assert.Equal(first, again);
        Assert.Equal(first, await store.AgreeAsync(younger, None));
        Assert.Equal(older, await store.AgreeAsync(older, None));
        Assert.Equal(older, await store.AgreeAsync(null, None));
    }

    [Fact]
    public async Task Two_that_create_the_identity_at_once_agree()
    {
        await using var one = Connect();
        await using var other = Connect();

        var agreed = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => (i % 2 == 0 ? one : other).AgreeAsync(null, None).AsTask()));

        Assert.Single(agreed.Distinct());
    }

    [Fact]
    public async Task Announces_a_join()
    {
        await using var watching = Connect();
        await using var joining = Connect();
        var news = 0;
        watching.Changed += () => Interlocked.Increment(ref news);

        // The first word of a client also connects it; from then on it hears the others.
        await watching.AgreeAsync(null, None);

        await Eventually.Holds(
            async () =>
            {
                await joining.JoinAsync(Request("b", "o"), None);
                return Volatile.Read(ref news) > 0;
            },
            "the news of a join");
    }

    /// <summary>Lets time pass on a store whose clock is the test's.</summary>
    protected virtual void PassTime(TimeSpan time)
    {
    }

    private static JoinRequest Request(string id, string owner, string address = "127.0.0.1:1", long incarnation = 1) =>
        new(new NodeRecord { Id = NodeId.Parse(id), Incarnation = incarnation, NativeAddress = address }, owner);

    private static async Task<BeatReply> BeatAsync(
        IMembershipStore store, string id, long incarnation, string owner, TimeSpan? silentAfter = null, StoreMark seen = default, NodeRecord? changed = null,
        ImmutableArray<NodeId>? doubted = null) =>
        await store.BeatAsync(new BeatRequest(NodeId.Parse(id), incarnation, owner, changed, silentAfter ?? Never, seen) { Doubted = doubted ?? [] }, None);
}
