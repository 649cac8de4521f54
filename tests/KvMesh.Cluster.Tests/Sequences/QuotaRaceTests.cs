using KvMesh.Cluster.Sequences;
using KvMesh.TestKit;
using KvMesh.TestKit.Sequences;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Cluster.Tests.Sequences;

/// <summary>Commands that ask for a share of a quota while the node reports for other commands.</summary>
public sealed class QuotaRaceTests
{
    private const int Sessions = 32;

    [Fact]
    public async Task What_was_set_aside_for_a_command_stays_its_own_while_another_report_is_under_way()
    {
        var rules = new SequenceRules();
        var options = new SequenceHostOptions { Node = "red", Rules = rules, LeaseTime = TimeSpan.FromHours(1) };
        using var store = new EmbeddedSequenceStore(path: null, rules, TimeProvider.System, NullLoggerFactory.Instance);
        var late = new LateStore(store);
        using var quota = new QuotaShares("tenant", options, () => 0, TimeProvider.System);
        var (one, another) = (new StepAllowance(quota), new StepAllowance(quota));
        var cost = new SequenceUsage(1, 0, 0);

        late.Answer.SetResult();
        await one.AskAsync(late, cost, default);
        late.Answer = new TaskCompletionSource();
        var report = another.AskAsync(late, cost, default).AsTask();

        Assert.False(cost.FitsInto(quota.Free));
        Assert.True(cost.FitsInto(one.Free));
        Assert.True(one.TrySpend(cost));
        Assert.False(one.TrySpend(cost));
        late.Answer.SetResult();
        var share = await report.Within("the answer to the second report");
        Assert.Equal(share.Given.Sequences - 2, quota.Free.Sequences);
        another.GiveBack();
        Assert.Equal(share.Given.Sequences - 1, quota.Free.Sequences);
    }

    [Fact]
    public async Task A_command_that_the_quota_covers_is_never_refused_because_another_one_reports()
    {
        var rules = new SequenceRules();
        using var store = new EmbeddedSequenceStore(path: null, rules, TimeProvider.System, NullLoggerFactory.Instance);
        await using var host = new SequenceHost(
            new LateStore(store) { Yields = true }, new SequenceHostOptions { Node = "red", Rules = rules }, TimeProvider.System, NullLoggerFactory.Instance);

        // Each opening reports, and while a report is under way nothing of the share is free.
        var replies = await Task.WhenAll(Enumerable.Range(0, Sessions).Select(index => Task.Run(
            () => host.ExecuteAsync(new SequenceId("tenant", $"session-{index}"), SequenceCommands.Open(), default).AsTask()))).Within("an answer to each command");

        Assert.All(replies, reply => Assert.True(reply.IsOk, $"{reply.Refusal}: {reply.Text}"));
        Assert.Equal(Sessions, (await host.ReadUsageAsync("tenant", default)).Used.Sequences);
    }

    /// <summary>Answers reports later than it is asked, as a store beyond a network does.</summary>
    private sealed class LateStore(ISequenceStore store) : ISequenceStore
    {
        /// <summary>Reports are answered when this completes.</summary>
        public TaskCompletionSource Answer { get; set; } = new();

        /// <summary>They are answered at once, by another thread.</summary>
        public bool Yields { get; init; }

        public ValueTask<StoredHead> ReadAsync(SequenceId id, CancellationToken cancellationToken) => store.ReadAsync(id, cancellationToken);

        public ValueTask<StoredHead> WriteAsync(SequenceId id, SequenceWrite write, CancellationToken cancellationToken) => store.WriteAsync(id, write, cancellationToken);

        public ValueTask<StoredRows> ReadRowsAsync(SequenceId id, ulong rowsId, int first, int count, CancellationToken cancellationToken) =>
            store.ReadRowsAsync(id, rowsId, first, count, cancellationToken);

        public ValueTask<StoredRows> FindRowAsync(SequenceId id, ulong rowsId, int rows, long block, CancellationToken cancellationToken) =>
            store.FindRowAsync(id, rowsId, rows, block, cancellationToken);

        public ValueTask<StoredNames> ListAsync(string tenant, string after, int count, CancellationToken cancellationToken) =>
            store.ListAsync(tenant, after, count, cancellationToken);

        public ValueTask<StoredNames> ListTenantsAsync(CancellationToken cancellationToken) => store.ListTenantsAsync(cancellationToken);

        public async ValueTask<TenantShare> ReportAsync(TenantReport report, CancellationToken cancellationToken)
        {
            await (Yields ? Task.Run(() => { }, cancellationToken) : Answer.Task);
            return await store.ReportAsync(report, cancellationToken);
        }
    }
}
