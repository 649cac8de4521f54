using System.Text;
using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Removals;

namespace KvMesh.TestKit.Coordination;

/// <summary>What every log of removals promises.</summary>
public abstract class RemovalLogContract
{
    private static readonly CancellationToken None = CancellationToken.None;
    private static readonly PurgeScope Scope = new("acme", "model", "1");

    /// <summary>A log of the cluster of this test; each call is another client of the same one.</summary>
    protected abstract IRemovalLog Connect();

    [Fact]
    public async Task Numbers_grow_and_are_above_what_the_caller_knows()
    {
        await using var log = Connect();

        var first = await log.PurgeAsync(Scope, "run", 0, None);
        var keys = await log.RemoveAsync([Key("a"), Key("b")], "run", 0, None);
        var third = await log.PurgeAsync(Scope, "run", keys + 1000, None);

        Assert.True(first > 0);
        Assert.True(keys > first);
        Assert.True(third > keys + 1000);
        Assert.Equal(third, (await ReadAsync(log)).Last);
    }

    [Fact]
    public async Task A_reader_gets_what_was_written_after_its_mark_in_order_and_as_it_was()
    {
        await using var log = Connect();
        await log.PurgeAsync(new PurgeScope("old", null, null), "run-1", 0, None);
        var start = await ReadAsync(log);
        var first = await log.RemoveAsync([Key("a"), Key("b", "über")], "run-1", 0, None);
        var purge = await log.PurgeAsync(new PurgeScope("acme", "mo.del *", null), "run-2", 0, None);

        var page = await ReadAsync(log, start);

        Assert.Equal((purge, 0L, 0L), (page.Last, page.Floor, page.Lost));
        Assert.Equal(new NumberedPurge(new PurgeScope("acme", "mo.del *", null), purge, "run-2"), Assert.Single(page.Purges));
        Assert.Equal([("a", "acme", first), ("b", "über", first + 1)], page.Keys.Select(key => (Text(key), key.Key.Tenant, key.Number)));
        Assert.All(page.Keys, key => Assert.Equal("run-1", key.Origin));
        var after = await ReadAsync(log, page);
        Assert.Empty(after.Purges);
        Assert.Empty(after.Keys);
    }

    [Fact]
    public async Task Of_the_purges_of_a_scope_the_newest_is_kept_and_a_new_reader_gets_all_scopes_and_no_keys()
    {
        await using var log = Connect();
        await log.PurgeAsync(Scope, "run", 0, None);
        await log.RemoveAsync([Key("a")], "run", 0, None);
        var newest = await log.PurgeAsync(Scope, "run", 0, None);
        var other = await log.PurgeAsync(Scope with { Model = null, Revision = null }, "run", 0, None);

        var page = await ReadAsync(log);

        Assert.Equal([newest, other], page.Purges.Select(purge => purge.Number).Order());
        Assert.Empty(page.Keys);
    }

    [Fact]
    public async Task Keys_come_in_pages()
    {
        await using var log = Connect();
        var start = await ReadAsync(log);
        for (var call = 0; call < 5; call++)
        {
            await log.RemoveAsync([.. Enumerable.Range(0, RemovalLimits.MaxKeysPerCall).Select(index => Key($"{call}-{index}"))], "run", 0, None);
        }

        var first = await ReadAsync(log, start);
        var second = await log.ReadAsync(new RemovalQuestion(Node("reader"), first.Keys[^1].Number, first.Lineage, first.Edition), None);

        Assert.Equal(RemovalLimits.MaxKeysPerPage, first.Keys.Length);
        Assert.Equal((5 * RemovalLimits.MaxKeysPerCall) - RemovalLimits.MaxKeysPerPage, second.Keys.Length);
        Assert.Equal("4-127", Text(second.Keys[^1]));
        Assert.Equal(second.Last, second.Keys[^1].Number);
    }

    [Fact]
    public async Task Tells_how_far_each_node_has_come()
    {
        await using var log = Connect();
        var number = await log.PurgeAsync(Scope, "run", 0, None);
        var page = await ReadAsync(log, reader: "a");
        await ReadAsync(log, page, "a");
        await ReadAsync(log, reader: "b");

        Assert.Equal([number, 0, 0], (await log.ProgressAsync([Node("a"), Node("b"), Node("c")], None)).AsEnumerable());
        Assert.Empty(await log.ProgressAsync([], None));
    }

    [Fact]
    public async Task What_a_store_lost_is_brought_back_once_and_everybody_reads_it()
    {
        await using var log = Connect();
        var fresh = await ReadAsync(log);
        var lost = new NumberedPurge(Scope, 17, "old-run");

        await log.RestoreAsync("another life", [lost], 99, None);
        Assert.Empty((await ReadAsync(log)).Purges);
        await log.RestoreAsync(fresh.Lineage, [lost], 99, None);
        var page = await ReadAsync(log, fresh);
        await log.RestoreAsync(fresh.Lineage, [lost with { Number = 16 }], 98, None);
        var again = await ReadAsync(log, page);

        Assert.Equal(lost, Assert.Single(page.Purges));
        Assert.Equal(99, page.Lost);
        Assert.True(page.Last >= 99);
        Assert.NotEqual(fresh.Edition, page.Edition);
        Assert.Equal((page.Edition, 99L), (again.Edition, again.Lost));
        Assert.Empty(again.Purges);
        Assert.True(await log.PurgeAsync(Scope, "run", 0, None) > 99);
    }

    [Fact]
    public async Task Announces_what_is_written()
    {
        await using var watching = Connect();
        await using var writing = Connect();
        var news = 0;
        watching.Changed += () => Interlocked.Increment(ref news);

        // The first word of a client also connects it; from then on it hears the others.
        await ReadAsync(watching);

        await Eventually.Holds(
            async () =>
            {
                await writing.RemoveAsync([Key("a")], "run", 0, None);
                return Volatile.Read(ref news) > 0;
            },
            "the news of a removal");
    }

    protected static RemovedKey Key(string text, string tenant = "acme") => new(tenant, Encoding.UTF8.GetBytes(text));

    protected static ValueTask<RemovalPage> ReadAsync(IRemovalLog log, RemovalPage? after = null, string reader = "reader") =>
        log.ReadAsync(new RemovalQuestion(Node(reader), after?.Last ?? 0, after?.Lineage ?? "", after?.Edition ?? ""), None);

    private static NodeId Node(string id) => NodeId.Parse(id);

    private static string Text(NumberedKey key) => Encoding.UTF8.GetString(key.Key.Key.Span);
}
