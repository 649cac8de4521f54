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
    public async Task Names_who_is_silent_and_tells_of_its_return()
    {
        await using var store = Connect();
        var a = (await store.JoinAsync(Request("a", "o-a"), None)).Incarnation;
        var b = (await store.JoinAsync(Request("b", "o-b"), None)).Incarnation;
        var limit = TimeSpan.FromMilliseconds(30);
        StoreMark mark = default;
        await Eventually.Holds(
            async () =>
            {
                PassTime(TimeSpan.FromMilliseconds(10));
                var reply = await BeatAsync(store, "a", a, "o-a", limit, mark);
                mark = reply.Mark;
                return reply.Silent.Contains(NodeId.Parse("b"));
            },
            "b among the silent");

        await BeatAsync(store, "b", b, "o-b", limit);
        var after = await BeatAsync(store, "a", a, "o-a", Never, mark);

        Assert.Contains(after.Members, member => member.Record.Id.Value == "b" && !member.HasLeft);
        Assert.Empty(after.Silent);
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
        IMembershipStore store, string id, long incarnation, string owner, TimeSpan? silentAfter = null, StoreMark seen = default, NodeRecord? changed = null) =>
        await store.BeatAsync(new BeatRequest(NodeId.Parse(id), incarnation, owner, changed, silentAfter ?? Never, seen), None);
}
