using System.Diagnostics.Metrics;
using KvMesh.Cluster.Sequences;
using KvMesh.Protocol.Sequences;

namespace KvMesh.Server.Telemetry;

/// <summary>The host of a node's sequences, and what was asked of it: every operation by verb and outcome, whichever door it came through.</summary>
internal sealed class MeteredSequences : ISequenceHost
{
    private static readonly Verb[] Verbs = Enum.GetValues<Verb>();
    private static readonly SequenceRefusal[] Refusals = Enum.GetValues<SequenceRefusal>();

    private readonly ISequenceHost _host;

    /// <summary>For each verb: one counter for each refusal, None being success, and behind them one for repetitions.</summary>
    private readonly long[,] _counts = new long[Verbs.Length, Refusals.Length + 1];

    /// <param name="usages">What tenants' sequences take, as the store last said.</param>
    public MeteredSequences(ISequenceHost host, Func<IReadOnlyList<TenantUsage>> usages, Meter meter)
    {
        _host = host;
        meter.CreateObservableCounter("kvmesh.sequence.operations", Observe, "{operation}", "Operations on sequences that this node was asked for.");
        new ObservedItems<TenantUsage>(meter, usages, "kvmesh.tenant", usage => usage.Tenant)
            .Gauge("kvmesh.sequence.open", "{sequence}", "Sequences of the tenant that are open, on all nodes together.", usage => usage.Used.Sequences)
            .Gauge("kvmesh.sequence.segments", "{segment}", "Segments of its sequences.", usage => usage.Used.Segments)
            .Gauge("kvmesh.sequence.pinned", "By", "Bytes that it pinned, copies counted.", usage => usage.Used.PinnedBytes);
        meter.CreateObservableGauge("kvmesh.sequence.quota_used", () => usages().SelectMany(Ratios), "1", "Part of the tenant's quota that is taken.");
    }

    private enum Verb
    {
        Open,
        Append,
        Fork,
        Pin,
        ConfirmPin,
        Park,
        Resume,
        Close,
        Show,
        Rows,
        List,
    }

    public SequenceEventFeed Events => _host.Events;

    /// <summary>The host as placement takes it: what it changes is counted, and what it reads by itself, again and again, is nothing that the node was asked for.</summary>
    public ISequenceHost ForPlacement => new UncountedReads(this);

    public async ValueTask<SequenceReply> ExecuteAsync(SequenceId id, SequenceCommand command, CancellationToken cancellationToken)
    {
        var reply = await _host.ExecuteAsync(id, command, cancellationToken).ConfigureAwait(false);
        Count(VerbOf(command), reply.Refusal, reply.IsRepetition);
        return reply;
    }

    public async ValueTask<SequenceReply> FindAsync(SequenceId id, CancellationToken cancellationToken)
    {
        var reply = await _host.FindAsync(id, cancellationToken).ConfigureAwait(false);
        Count(Verb.Show, reply.Refusal, isRepetition: false);
        return reply;
    }

    public async ValueTask<SequenceRows> ReadRowsAsync(SequenceId id, int first, int count, CancellationToken cancellationToken)
    {
        var rows = await _host.ReadRowsAsync(id, first, count, cancellationToken).ConfigureAwait(false);
        Count(Verb.Rows, rows.Refusal, isRepetition: false);
        return rows;
    }

    public async ValueTask<SequencePage> ListAsync(string tenant, string after, int count, CancellationToken cancellationToken)
    {
        var page = await _host.ListAsync(tenant, after, count, cancellationToken).ConfigureAwait(false);
        Count(Verb.List, page.Refusal, isRepetition: false);
        return page;
    }

    public ValueTask<TenantShare> ReadUsageAsync(string tenant, CancellationToken cancellationToken) => _host.ReadUsageAsync(tenant, cancellationToken);

    private static Verb VerbOf(SequenceCommand command) => command switch
    {
        OpenSequence => Verb.Open,
        AppendSegment => Verb.Append,
        ForkSequence => Verb.Fork,
        PinSequence => Verb.Pin,
        ConfirmPin => Verb.ConfirmPin,
        ParkSequence => Verb.Park,
        ResumeSequence => Verb.Resume,
        _ => Verb.Close,
    };

    private static IEnumerable<Measurement<double>> Ratios(TenantUsage usage)
    {
        yield return Ratio("sequences", usage.Used.Sequences, usage.Limit.Sequences);
        yield return Ratio("segments", usage.Used.Segments, usage.Limit.Segments);
        yield return Ratio("pinned_bytes", usage.Used.PinnedBytes, usage.Limit.PinnedBytes);

        Measurement<double> Ratio(string quota, long used, long limit) => new(
            limit == 0 ? 0 : (double)used / limit,
            new KeyValuePair<string, object?>("kvmesh.tenant", usage.Tenant), new KeyValuePair<string, object?>("kvmesh.quota", quota));
    }

    private static string Words(string name) =>
        string.Concat(name.Select((letter, index) => char.IsUpper(letter) ? (index == 0 ? "" : "_") + char.ToLowerInvariant(letter) : $"{letter}"));

    private void Count(Verb verb, SequenceRefusal refusal, bool isRepetition) =>
        Interlocked.Increment(ref _counts[(int)verb, isRepetition ? Refusals.Length : (int)refusal]);

    /// <summary>Successes of every verb, and what else happened.</summary>
    private IEnumerable<Measurement<long>> Observe()
    {
        foreach (var verb in Verbs)
        {
            for (var outcome = 0; outcome <= Refusals.Length; outcome++)
            {
                var count = Interlocked.Read(ref _counts[(int)verb, outcome]);
                if (count > 0 || outcome == 0)
                {
                    var word = outcome == 0 ? "done" : outcome == Refusals.Length ? "repeated" : Words($"{Refusals[outcome]}");
                    yield return new Measurement<long>(
                        count, new KeyValuePair<string, object?>("kvmesh.operation", Words($"{verb}")), new KeyValuePair<string, object?>("kvmesh.outcome", word));
                }
            }
        }
    }

    private sealed class UncountedReads(MeteredSequences metered) : ISequenceHost
    {
        public SequenceEventFeed Events => metered.Events;

        public ValueTask<SequenceReply> ExecuteAsync(SequenceId id, SequenceCommand command, CancellationToken cancellationToken) =>
            metered.ExecuteAsync(id, command, cancellationToken);

        public ValueTask<SequenceReply> FindAsync(SequenceId id, CancellationToken cancellationToken) => metered._host.FindAsync(id, cancellationToken);

        public ValueTask<SequenceRows> ReadRowsAsync(SequenceId id, int first, int count, CancellationToken cancellationToken) =>
            metered._host.ReadRowsAsync(id, first, count, cancellationToken);

        public ValueTask<SequencePage> ListAsync(string tenant, string after, int count, CancellationToken cancellationToken) =>
            metered._host.ListAsync(tenant, after, count, cancellationToken);

        public ValueTask<TenantShare> ReadUsageAsync(string tenant, CancellationToken cancellationToken) => metered._host.ReadUsageAsync(tenant, cancellationToken);
    }
}
