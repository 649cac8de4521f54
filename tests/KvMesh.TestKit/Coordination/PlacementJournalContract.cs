using KvMesh.Cluster.Placement;
using KvMesh.Cluster.Placement.Scheduler;
using KvMesh.Protocol.Admin;

namespace KvMesh.TestKit.Coordination;

/// <summary>What every journal of placement promises.</summary>
public abstract class PlacementJournalContract
{
    private static readonly CancellationToken None = CancellationToken.None;
    private static readonly DateTimeOffset At = DateTimeOffset.FromUnixTimeMilliseconds(1_800_000_000_123);

    /// <summary>The journal of the cluster of this test; each call is another client of the same one.</summary>
    protected abstract IPlacementJournal Connect();

    /// <summary>Puts a scheduler with this token into office.</summary>
    protected abstract Task AppointAsync(long token);

    [Fact]
    public async Task A_new_one_is_empty()
    {
        await using var journal = Connect();

        var page = (await journal.ReadAsync(1, None))!;

        Assert.Empty(page.Audit);
        Assert.Empty(page.Orders);
        Assert.Equal((false, 0L), (page.IsPaused, page.LastOrder));
    }

    [Fact]
    public async Task A_follower_reads_what_was_left()
    {
        await AppointAsync(5);
        await using (var journal = Connect())
        {
            Assert.True(await journal.WriteAsync(5, Change(isPaused: true, lastOrder: 9, orders: [Order(7), Order(9)], lines: ["one", "two"]), None));
        }

        await AppointAsync(6);
        await using var follower = Connect();
        var page = (await follower.ReadAsync(6, None))!;

        Assert.Equal([new AuditLine(At, "ann", "one", "a subject"), new AuditLine(At, "ann", "two", "a subject")], page.Audit.AsEnumerable());
        Assert.Equal((true, 9L), (page.IsPaused, page.LastOrder));
        Assert.Equal([Text(Order(7)), Text(Order(9))], page.Orders.OrderBy(order => order.Id).Select(Text));
    }

    [Fact]
    public async Task Orders_are_kept_anew_and_go_and_their_last_number_stays()
    {
        await AppointAsync(5);
        await using var journal = Connect();
        await journal.WriteAsync(5, Change(lastOrder: 8, orders: [Order(7), Order(8)]), None);
        await journal.WriteAsync(5, Change(lastOrder: 8, orders: [Order(7) with { State = "cancelled", EndedAt = At }], gone: [8, 1234]), None);

        var page = (await journal.ReadAsync(5, None))!;

        Assert.Equal(("cancelled", (DateTimeOffset?)At), (Assert.Single(page.Orders).State, page.Orders[0].EndedAt));
        await journal.WriteAsync(5, Change(gone: [7]), None);
        page = (await journal.ReadAsync(5, None))!;
        Assert.Empty(page.Orders);
        Assert.Equal(8, page.LastOrder);
    }

    [Fact]
    public async Task Orders_stay_paused_until_a_write_says_otherwise()
    {
        await AppointAsync(5);
        await using var journal = Connect();
        await journal.WriteAsync(5, Change(isPaused: true), None);
        await journal.WriteAsync(5, Change(lines: ["other"]), None);
        Assert.True((await journal.ReadAsync(5, None))!.IsPaused);

        await journal.WriteAsync(5, Change(isPaused: false), None);
        Assert.False((await journal.ReadAsync(5, None))!.IsPaused);
    }

    [Fact]
    public async Task What_a_deposed_scheduler_writes_is_refused()
    {
        await AppointAsync(5);
        await using var journal = Connect();
        await journal.WriteAsync(5, Change(lines: ["one"]), None);
        await AppointAsync(6);
        await journal.ReadAsync(6, None);

        Assert.False(await journal.WriteAsync(5, Change(isPaused: true, lastOrder: 3, orders: [Order(3)], lines: ["two"]), None));
        Assert.Null(await journal.ReadAsync(5, None));

        var page = (await journal.ReadAsync(6, None))!;
        Assert.Equal("one", Assert.Single(page.Audit).Action);
        Assert.Empty(page.Orders);
        Assert.False(page.IsPaused);
    }

    [Fact]
    public async Task Of_the_audit_the_newest_lines_are_kept()
    {
        await AppointAsync(5);
        await using var journal = Connect();
        for (var write = 0; write < 3; write++)
        {
            var first = write * JournalLimits.MaxAudit / 2;
            await journal.WriteAsync(5, Change(lines: [.. Enumerable.Range(first, JournalLimits.MaxAudit / 2).Select(index => $"{index}")]), None);
        }

        var page = (await journal.ReadAsync(5, None))!;

        Assert.Equal(Enumerable.Range(JournalLimits.MaxAudit / 2, JournalLimits.MaxAudit).Select(index => $"{index}"), page.Audit.Select(line => line.Action));
    }

    protected static JournalChange Change(bool? isPaused = null, long lastOrder = 0, OrderStatus[]? orders = null, string[]? lines = null, long[]? gone = null) => new(
        [.. (lines ?? []).Select(action => new AuditLine(At, "ann", action, "a subject"))], isPaused, lastOrder, [.. orders ?? []], [.. gone ?? []]);

    protected static OrderStatus Order(long id) => new(
        id, "replicate", "open", "t", "00ff00ff00ff00ff00ff00ff00ff00ff", 3, 8, "b", ["a", "c"], 8_000, 0, 0.5, 2.5, "Ä reason.", At, null, "");

    /// <summary>All of its fields: the list of sources is compared as such.</summary>
    private static string Text(OrderStatus order) => $"{order with { Sources = [] }} {string.Join(',', order.Sources)}";
}
