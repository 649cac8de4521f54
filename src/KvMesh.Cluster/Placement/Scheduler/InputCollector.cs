using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Runtime.InteropServices;
using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Placement;

namespace KvMesh.Cluster.Placement.Scheduler;

/// <summary>Asks the nodes how they are and puts together what a plan depends on. One caller at a time.</summary>
internal sealed class InputCollector(NodeTalk talk, ChainBook chains, HolderMap holders, OwnTraffic traffic, PlacementOptions plan, TimeProvider time)
{
    /// <summary>Most wanted prefixes of a plan, and their blocks.</summary>
    private const int MaxPrefixes = 512;
    private const int MaxPrefixBlocks = 65_536;

    /// <summary>Prefixes whose keys are asked for in one step.</summary>
    private const int MaxResolved = 64;

    /// <summary>Runs of a draining node in one plan.</summary>
    private const int MaxLeavingRuns = 16;

    /// <summary>The last reports, by node: those of this step.</summary>
    public IReadOnlyDictionary<NodeId, NodeReport> Reports { get; private set; } = new Dictionary<NodeId, NodeReport>();

    /// <summary>Asks every node of the view.</summary>
    public async ValueTask AskAsync(ClusterView view, NodeReportRequest request, CancellationToken cancellationToken)
    {
        var reports = new ConcurrentDictionary<NodeId, NodeReport>();
        await NodeTalk.ForEachAsync(
            view.Nodes,
            async (node, stop) =>
            {
                var (_, report, _) = await talk.AskAsync(
                    node, own => own.Report(request), (calls, limit, token) => calls.ReportAsync(node, request, limit, token), stop).ConfigureAwait(false);
                if (report is not null)
                {
                    reports[node.Id] = report;
                }
            },
            cancellationToken).ConfigureAwait(false);
        Reports = reports;
    }

    /// <summary>What is to be planned with, from the reports and from what the scheduler knows.</summary>
    public async ValueTask<PlacementInput> CollectAsync(
        ClusterView view, IReadOnlyCollection<Session> sessions, OpenOrders open, CancellationToken cancellationToken)
    {
        var states = new Dictionary<(string Tenant, Protocol.Keys.KeyDigest Tail), PrefixState>();
        foreach (var (prefix, demand) in await WantedAsync(view, cancellationToken).ConfigureAwait(false))
        {
            Add(states, prefix, demand, open);
        }

        foreach (var run in sessions.SelectMany(session => session.Runs))
        {
            Add(states, run, [], open);
        }

        foreach (var (node, prefix) in await LeavingAsync(view, cancellationToken).ConfigureAwait(false))
        {
            Add(states, prefix, [], open, new Holding(node, 0, prefix.Blocks));
        }

        traffic.Look();
        return new PlacementInput
        {
            Now = time.GetUtcNow(),
            View = view,
            Loads = [.. Reports.Select(pair => LoadOf(pair.Key, pair.Value) with { OpenBytes = open.BytesOf(pair.Key) })],
            Prefixes = [.. states.Values],
            Sessions = [.. sessions.SelectMany(session => session.Runs.Select((run, index) => StateOf(view, session, run, index)))],
            Options = plan,
        };
    }

    private void Add(
        Dictionary<(string, Protocol.Keys.KeyDigest), PrefixState> states, ChainPrefix prefix, ImmutableArray<NodeDemand> demand, OpenOrders open,
        Holding? told = null)
    {
        var key = (prefix.Tenant, prefix.Tail);
        if (states.TryGetValue(key, out var state) && state.Prefix.Blocks >= prefix.Blocks)
        {
            return;
        }

        // Of two runs with one end the longer one stands for both.
        demand = state?.Demand ?? demand;

        var holdings = holders.Find(prefix);
        if (told is { } own)
        {
            holdings = [.. holdings.Where(holding => holding.Node != own.Node), own];
        }

        states[key] = new PrefixState(prefix, holdings, demand) { Coming = open.ComingFor(prefix), Barred = open.BarredFor(prefix) };
    }

    /// <summary>The prefixes that clients of all nodes want most, with their keys.</summary>
    private async ValueTask<List<(ChainPrefix Prefix, ImmutableArray<NodeDemand> Demand)>> WantedAsync(ClusterView view, CancellationToken cancellationToken)
    {
        var wanted = GroupWanted()
            .OrderByDescending(entry => entry.Weight)
            .ThenBy(entry => entry.First.Tail.Key, KeyBytes.Order)
            .Take(MaxPrefixes);
        var found = new List<(ChainPrefix, ImmutableArray<NodeDemand>)>();
        var (resolved, blocks) = (0, 0);
        foreach (var (first, named, _) in wanted)
        {
            var tail = first.Tail;
            blocks += tail.Blocks;
            if (blocks > MaxPrefixBlocks || resolved >= MaxResolved || view.Identity is not { } identity)
            {
                break;
            }

            if (await chains.FindAsync(view, tail.Tenant, tail.Key, tail.Blocks, first.Node, cancellationToken).ConfigureAwait(false) is not { } chain)
            {
                resolved++;
                continue;
            }

            found.Add((
                new ChainPrefix
                {
                    Tenant = tail.Tenant,
                    Tail = HolderMap.TailOf(identity.Secret, tail.Tenant, tail.Key.Span),
                    Keys = [.. chain.Keys],
                    Bytes = chain.Bytes,
                },
                [.. named.OrderBy(demand => demand.Node.Value, StringComparer.Ordinal)]));
        }

        return found;
    }

    /// <summary>What is wanted, once each, with the node that wants it most in front. Only what a plan looks at is put in order: there are 64 for each node.</summary>
    private List<((NodeId Node, WantedTail Tail) First, List<NodeDemand> Demand, double Weight)> GroupWanted()
    {
        var places = new Dictionary<TailName, int>();
        var wanted = new List<((NodeId Node, WantedTail Tail) First, List<NodeDemand> Demand, double Weight)>();
        foreach (var (node, report) in Reports)
        {
            foreach (var tail in report.Wanted.Where(tail => tail.Blocks <= PlacementLimits.MaxRunBlocks))
            {
                ref var place = ref CollectionsMarshal.GetValueRefOrAddDefault(places, new TailName(tail.Tenant, tail.Key, tail.Blocks), out var isKnown);
                if (!isKnown)
                {
                    place = wanted.Count;
                    wanted.Add(((node, tail), [], 0));
                }

                var (first, demand, weight) = wanted[place];
                demand.Add(new NodeDemand(node, tail.RequestsPerSecond));
                wanted[place] = (IsBefore((node, tail), first) ? (node, tail) : first, demand, weight + (tail.RequestsPerSecond * tail.Blocks));
            }
        }

        return wanted;
    }

    private static bool IsBefore((NodeId Node, WantedTail Tail) one, (NodeId Node, WantedTail Tail) other) =>
        one.Tail.RequestsPerSecond > other.Tail.RequestsPerSecond
        || (one.Tail.RequestsPerSecond == other.Tail.RequestsPerSecond && string.CompareOrdinal(one.Node.Value, other.Node.Value) < 0);

    /// <summary>What draining nodes have that nobody who stays has.</summary>
    private async ValueTask<IReadOnlyCollection<(NodeId Node, ChainPrefix Prefix)>> LeavingAsync(ClusterView view, CancellationToken cancellationToken)
    {
        var prefixes = new ConcurrentBag<(NodeId, ChainPrefix)>();
        var draining = view.Nodes.Where(node => node.State == NodeState.Draining && Reports.ContainsKey(node.Id));
        await NodeTalk.ForEachAsync(
            draining,
            async (node, stop) =>
            {
                var (_, answer, _) = await talk.AskAsync(
                    node, own => own.Drain(default), (calls, limit, token) => calls.DrainAsync(node, default, limit, token), stop).ConfigureAwait(false);
                for (var index = 0; index < Math.Min(answer?.Runs ?? 0, MaxLeavingRuns); index++)
                {
                    var request = new LeavingRequest(index);
                    var (_, run, _) = await talk.AskAsync(
                        node, own => own.Leaving(request), (calls, limit, token) => calls.LeavingAsync(node, request, limit, token), stop).ConfigureAwait(false);
                    if (run is { Keys.Count: > 0 } && view.Identity is { } identity)
                    {
                        prefixes.Add((node.Id, new ChainPrefix
                        {
                            Tenant = run.Tenant,
                            Tail = HolderMap.TailOf(identity.Secret, run.Tenant, run.Keys[^1].Span),
                            Keys = [.. run.Keys],
                            Bytes = Math.Max(run.Bytes, run.Keys.Count),
                        }));
                    }
                }
            },
            cancellationToken).ConfigureAwait(false);
        return prefixes;
    }

    /// <summary>What orders take of a node is no load: it ends with them, and more copies would not relieve it.</summary>
    private NodeLoad LoadOf(NodeId node, NodeReport report) => new(
        node, report.CapacityBytes, report.FreeBytes, report.InBytesPerSecond, report.OutBytesPerSecond,
        Math.Max(0, report.Utilisation - (traffic.BytesPerSecondOf(node) / Math.Max(1, report.OutBytesPerSecond))));

    private static SessionState StateOf(ClusterView view, Session session, ChainPrefix run, int index)
    {
        var info = session.Info;
        var expected = session.Expected;
        return new SessionState(
            session.Id.Tenant, info.Name, run.Tail, session.IsPinned ? info.Pin.Replicas : 0,
            expected is { } back ? DateTimeOffset.FromUnixTimeMilliseconds(back.At) : null,
            expected is not null && NodeId.TryParse(info.Holder, out var holder, out _) ? holder : null)
        {
            IsReturnGuessed = expected is { IsGuess: true },
            Unkept = session.Copies.Unkept(index, view),
        };
    }
}
