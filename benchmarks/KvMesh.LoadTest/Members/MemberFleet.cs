using System.Diagnostics;
using System.Globalization;
using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Scheduling;
using KvMesh.LoadTest.Verbs;
using KvMesh.Remote.Redis.Coordination;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.LoadTest.Members;

/// <summary>Members of one cluster in this process.</summary>
internal sealed class MemberFleet : IAsyncDisposable
{
    /// <summary>Members that share a connection: a process of each would have its own, and this one has not the threads for a thousand.</summary>
    public const int MembersPerLink = 32;

    public const string Cluster = "bench";

    /// <summary>The channel on which this cluster's changes are announced.</summary>
    public const string News = $"kvmesh:{{{Cluster}}}:news";

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);
    private static readonly TimeSpan ProgressInterval = TimeSpan.FromSeconds(5);

    private readonly List<Membership> _members = [];
    private readonly List<RedisLink> _links = [];

    // A record of every member in every view would be gigabytes here, and nothing in a fleet of processes.
    private readonly MemberTexts _known = new();
    private readonly MembershipOptions _options;
    private readonly int _port;
    private int _begun;

    public MemberFleet(int port, MembershipOptions options) => (_port, _options) = (port, options);

    public int Count => _members.Count;

    public int Links => _links.Count;

    /// <summary>Most members that any of them took away.</summary>
    public long MostDepartures => _members.Max(member => member.Figures.Departures);

    public long Epoch => _members.Max(member => member.Current.Epoch);

    public long LateAnswers => _members.Sum(member => member.Figures.LateAnswers);

    public long Silences => _members.Sum(member => member.Figures.StoreFailures);

    public void Begin()
    {
        if (_begun % MembersPerLink == 0)
        {
            _links.Add(new RedisLink($"127.0.0.1:{_port}", $"bench-{_links.Count}", TimeProvider.System));
        }

        var index = _begun++;
        var record = new NodeRecord
        {
            Id = NodeId.Parse(string.Create(CultureInfo.InvariantCulture, $"node-{index:0000}")),
            NativeAddress = string.Create(CultureInfo.InvariantCulture, $"10.0.{index / 250}.{index % 250}:8601"),
            HttpAddress = string.Create(CultureInfo.InvariantCulture, $"http://10.0.{index / 250}.{index % 250}:8600/"),
            Machine = string.Create(CultureInfo.InvariantCulture, $"machine-{index:0000}"),
            Version = "1.0.0",
            Tiers = [new TierCapacity("host", 64L << 30, 1), new TierCapacity("disk", 1L << 40, 1)],
        };
        var seat = new MembershipSeat(record, $"owner{index:0000}");
        var member = new Membership(new RedisMembershipStore(_links[^1], Cluster, _known), seat, _options, new OrderGate(), TimeProvider.System, NullLoggerFactory.Instance);
        _members.Add(member);
        member.Start();
    }

    /// <summary>Waits until every member sees all, and none holds its view as the last that was known.</summary>
    public Task<TimeSpan> UntilWholeAsync() => UntilAsync(member => member.Current is { IsFrozen: false } view && view.Nodes.Length == Count, "all members in all views");

    /// <summary>One dies. Returns the time until every other one has noticed.</summary>
    public async Task<TimeSpan> LoseOneAsync()
    {
        var dead = _members[^1];
        _members.RemoveAt(_members.Count - 1);
        await dead.DisposeAsync().ConfigureAwait(false);
        return await UntilAsync(member => member.Current.Find(dead.Self) is null, $"{dead.Self} gone from all views").ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_members.Select(member => member.DisposeAsync().AsTask())).ConfigureAwait(false);
        foreach (var link in _links)
        {
            await link.DisposeAsync().ConfigureAwait(false);
        }
    }

    private async Task<TimeSpan> UntilAsync(Func<Membership, bool> holds, string what)
    {
        var startedAt = Stopwatch.GetTimestamp();
        var toldAt = startedAt;
        while (_members.Count(member => !holds(member)) is var missing and > 0)
        {
            if (Stopwatch.GetElapsedTime(startedAt) > Patience)
            {
                throw new LoadTestException($"Not within {Patience.TotalMinutes} minutes: {what}.");
            }

            if (Stopwatch.GetElapsedTime(toldAt) > ProgressInterval)
            {
                toldAt = Stopwatch.GetTimestamp();
                RunSettings.Progress($"{missing} of {Count} not yet: {what}; late answers {LateAnswers}, silences {Silences}, departures {MostDepartures}");
            }

            await Task.Delay(20).ConfigureAwait(false);
        }

        return Stopwatch.GetElapsedTime(startedAt);
    }
}
