using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using KvMesh.Cluster.Demand;
using KvMesh.Cluster.Map;
using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Placement;
using KvMesh.Cluster.Placement.Nodes;
using KvMesh.Cluster.Placement.Scheduler;
using KvMesh.Cluster.Scheduling;
using KvMesh.Cluster.Sequences;
using KvMesh.Cluster.Tests.Placement.Nodes;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Placement;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Cluster.Tests.Placement.Scheduler;

/// <summary>Nodes with blocks in memory that talk to each other without a network, and schedulers on any of them.</summary>
internal sealed class Fleet : IAsyncDisposable
{
    public static readonly PlacementServiceOptions Options = new()
    {
        Step = TimeSpan.FromMilliseconds(100),
        CallTimeout = TimeSpan.FromMilliseconds(200),
        PrefetchMargin = TimeSpan.FromMinutes(1),
    };

    private readonly EmbeddedSequenceStore _store = new(null, new SequenceRules(), TimeProvider.System, NullLoggerFactory.Instance);
    private readonly List<PlacementScheduler> _schedulers = [];
    private readonly List<Member> _members = [];

    private Fleet(string[] names)
    {
        Sequences = new SequenceHost(_store, new SequenceHostOptions { Node = "fleet" }, TimeProvider.System, NullLoggerFactory.Instance);
        foreach (var name in names)
        {
            _members.Add(new Member(this, name, (ushort)(_members.Count + 1)));
        }
    }

    public SequenceHost Sequences { get; }

    /// <summary>What its schedulers leave to each other.</summary>
    public IPlacementJournal Journal { get; } = new EmbeddedPlacementJournal(null, NullLoggerFactory.Instance);

    public static Fleet Of(params string[] names) => new(names);

    public Member this[string name] => _members.Single(member => member.Id.Value == name);

    /// <summary>Those that live.</summary>
    public ClusterView View => new(1, [.. _members.Where(member => member.IsUp).Select(member => member.Record)], isFrozen: false)
    {
        Identity = new ClusterIdentity("fleet", new DigestSecret(1, 2), DateTimeOffset.UnixEpoch),
    };

    /// <summary>Starts to plan on a node.</summary>
    public PlacementScheduler Plan(string name, ISchedulerLease? lease = null, PlacementServiceOptions? options = null, IPlacementJournal? journal = null)
    {
        var member = this[name];
        var parts = new SchedulerParts(member, member, member.Blocks, member.Node, new Calls(this), Sequences, options ?? Options, 1L << 20);
        var scheduler = new PlacementScheduler(parts, lease ?? new EmbeddedSchedulerLease(member.Id, member.Gate, TimeProvider.System), journal ?? Journal, TimeProvider.System, NullLoggerFactory.Instance);
        _schedulers.Add(scheduler);
        scheduler.Start();
        return scheduler;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var scheduler in _schedulers)
        {
            await scheduler.DisposeAsync();
        }

        foreach (var member in _members)
        {
            await member.DisposeAsync();
        }

        await Sequences.DisposeAsync();
        _store.Dispose();
    }

    /// <summary>One node: its blocks, what it does for the scheduler, and how it sees the others.</summary>
    internal sealed class Member : IClusterViews, IBlockLocator, IAsyncDisposable
    {
        private readonly Fleet _fleet;
        private readonly ushort _number;
        private readonly SessionWatch _sessions;

        public Member(Fleet fleet, string name, ushort number)
        {
            _fleet = fleet;
            _number = number;
            Id = NodeId.Parse(name);
            Record = new NodeRecord { Id = Id, Incarnation = 1, NativeAddress = $"{name}:1", Machine = name };
            Blocks = new MemoryBlocks { Source = key => fleet._members.Any(other => other.IsUp && other.Blocks.TryFind("t", key.Span, out _)) };
            var meter = new BandwidthMeter(() => default, 1 << 30, TimeProvider.System);
            Executor = new OrderExecutor(Blocks, Gate, meter);
            Demand = new DemandTable(64, TimeSpan.FromSeconds(30), TimeProvider.System);
            _sessions = new SessionWatch(fleet.Sequences.Events, TimeProvider.System);
            Drain = new DrainMonitor(Blocks, this, this, state => Record = Record with { State = state }, DrainMemory, TimeProvider.System);
            Node = new PlacementNode(Blocks, Executor, Demand, meter, _sessions, Drain, TimeProvider.System);
        }

        public NodeId Id { get; }

        public NodeRecord Record { get; set; }

        public MemoryBlocks Blocks { get; }

        public OrderGate Gate { get; } = new();

        public OrderExecutor Executor { get; }

        public DemandTable Demand { get; }

        public DrainMonitor Drain { get; }

        public MemoryOfDrain DrainMemory { get; } = new();

        public PlacementNode Node { get; }

        public bool IsUp { get; set; } = true;

        /// <summary>Whether it is in the view and answers nobody.</summary>
        public bool IsHanging { get; set; }

        /// <summary>Whether it reports and says nothing of its orders.</summary>
        public bool IsMuteOnOrders { get; set; }

        /// <summary>Whether asking it fails in a way that nobody expects.</summary>
        public bool IsBroken { get; set; }

        public ConcurrentQueue<long> Tokens { get; } = new();

        public NodeId Self => Id;

        public ClusterView Current => _fleet.View;

        public async IAsyncEnumerable<ClusterView> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
        {
            await Task.CompletedTask;
            yield return Current;
        }

        public BlockHolders Locate(string tenant, ReadOnlySpan<byte> key, TimeSpan limit)
        {
            var holders = default(BlockHolders);
            foreach (var member in _fleet._members)
            {
                holders = member.IsUp && member != this && member.Blocks.TryFind(tenant, key, out _) ? holders.With(member._number) : holders;
            }

            return holders;
        }

        public void LocateAll(string tenant, IReadOnlyList<ReadOnlyMemory<byte>> keys, HolderLists holders, TimeSpan limit)
        {
            for (var index = 0; index < keys.Count; index++)
            {
                var key = keys[index];
                holders.Set(index, [.. _fleet._members.Where(member => member.IsUp && member != this && member.Blocks.TryFind(tenant, key.Span, out _)).Select(member => member._number)]);
            }
        }

        public int MatchPrefix(string tenant, ReadOnlySpan<byte> scope, ReadOnlySpan<byte> hashes, int from, Span<BlockHolders> holders, TimeSpan limit) => 0;

        public int MarkOf(string tenant, ReadOnlySpan<byte> key) => 0;

        public void ReportFalseHit(string tenant, ReadOnlySpan<byte> key, ushort holder, int mark)
        {
        }

        public NodeRecord? NodeOf(ushort holder) => _fleet._members[holder - 1] is { IsUp: true } member ? member.Record : null;

        public async ValueTask DisposeAsync()
        {
            await Drain.DisposeAsync();
            await _sessions.DisposeAsync();
        }
    }

    /// <summary>Calls without a network. A node that hangs answers when the limit is over: not at all.</summary>
    private sealed class Calls(Fleet fleet) : IPlacementCalls
    {
        public ValueTask<NodeReport> ReportAsync(NodeRecord node, NodeReportRequest request, TimeSpan limit, CancellationToken cancellationToken) =>
            AskAsync(node, own => own.Report(request), limit, cancellationToken);

        public ValueTask<OrderAnswer> GiveAsync(NodeRecord node, OrderGiveRequest request, TimeSpan limit, CancellationToken cancellationToken) =>
            AskAsync(node, own => own.Give(request), limit, cancellationToken);

        public ValueTask<OrderAnswer> CancelAsync(NodeRecord node, OrderCancelRequest request, TimeSpan limit, CancellationToken cancellationToken) =>
            fleet[node.Id.Value].IsMuteOnOrders
                ? throw new NodeSilentException($"{node.Id} says nothing of its orders.")
                : AskAsync(node, own => own.Cancel(request), limit, cancellationToken);

        public ValueTask<IReadOnlyList<OrderProgress>> ProgressAsync(NodeRecord node, OrderProgressRequest request, TimeSpan limit, CancellationToken cancellationToken) =>
            fleet[node.Id.Value].IsMuteOnOrders
                ? throw new NodeSilentException($"{node.Id} says nothing of its orders.")
                : AskAsync(node, own => own.Progress(request), limit, cancellationToken);

        public ValueTask<ChainAnswer> ChainAsync(NodeRecord node, ChainRequest request, TimeSpan limit, CancellationToken cancellationToken) =>
            AskAsync(node, own => own.Chain(request), limit, cancellationToken);

        public ValueTask<HoldAnswer> HoldAsync(NodeRecord node, HoldRequest request, TimeSpan limit, CancellationToken cancellationToken) =>
            AskAsync(node, own => own.Hold(request), limit, cancellationToken);

        public ValueTask<DrainAnswer> DrainAsync(NodeRecord node, DrainRequest request, TimeSpan limit, CancellationToken cancellationToken) =>
            AskAsync(node, own => own.Drain(request), limit, cancellationToken);

        public ValueTask<LeavingRun> LeavingAsync(NodeRecord node, LeavingRequest request, TimeSpan limit, CancellationToken cancellationToken) =>
            AskAsync(node, own => own.Leaving(request), limit, cancellationToken);

        public ValueTask<ReadOnlyMemory<byte>?> DeskAsync(NodeRecord node, DeskRequest request, TimeSpan limit, CancellationToken cancellationToken) =>
            throw new NodeSilentException("No desk is here.");

        private async ValueTask<T> AskAsync<T>(NodeRecord node, Func<IPlacementNode, T> ask, TimeSpan limit, CancellationToken cancellationToken)
        {
            var member = fleet[node.Id.Value];
            if (member.IsBroken)
            {
                throw new InvalidOperationException($"{node.Id} is broken.");
            }

            if (member.IsHanging)
            {
                await Task.Delay(limit, TimeProvider.System, cancellationToken);
            }

            return member is { IsUp: true, IsHanging: false } ? ask(member.Node) : throw new NodeSilentException($"{node.Id} is silent.");
        }
    }
}
