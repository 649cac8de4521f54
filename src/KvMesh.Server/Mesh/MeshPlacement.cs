using KvMesh.Cluster.Demand;
using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Placement.Nodes;
using KvMesh.Cluster.Placement.Scheduler;
using KvMesh.Cluster.Scheduling;
using KvMesh.Cluster.Sequences;
using KvMesh.Remote.Peers.Placement;
using KvMesh.Server.Hosting;
using KvMesh.Server.Telemetry;
using Microsoft.Extensions.Logging;

namespace KvMesh.Server.Mesh;

/// <summary>
/// A node's part in placement: what it does for whoever plans, and the planning itself, for when it is its turn. Stopping it gives the scheduler's lease
/// up.
/// </summary>
internal sealed partial class MeshPlacement : IAsyncDisposable
{
    private readonly StopSteps _stop = new();
    private readonly MeshContext _context;
    private readonly DrainMonitor _drain;
    private readonly PlacementScheduler _scheduler;

    public MeshPlacement(
        MeshContext context, Membership membership, MeshMap map, ISequenceHost sequences, ISchedulerLease lease, IPlacementJournal journal, OrderGate gate,
        PeerCredential credential)
    {
        _context = context;
        var (options, time) = (context.Options.Placement, context.Time);
        var blocks = new EngineBlocks(context.Engine, map.Door);
        var bandwidth = new BandwidthMeter(() => blocks.Served, options.LinkBytesPerSecond, time);
        var orders = new OrderExecutor(blocks, gate, bandwidth);
        var demand = new DemandTable(options.DemandPrefixes, options.DemandHalfLife, time);
        Demand = new DemandSampler(demand, () => map.Locator.Role?.Secret, time);
        _stop.Add(Demand);
        var sessions = new SessionWatch(sequences.Events, time);
        _stop.Add(() => sessions.DisposeAsync().AsTask());
        var memory = new DrainFile(context.Options.DataDirectory, context.Options.Mesh.Cluster, membership.Self, context.Loggers.CreateLogger<DrainFile>());
        _drain = new DrainMonitor(blocks, map.Locator, membership, state => membership.Change(record => record with { State = state }), memory, time);
        _stop.Add(() => _drain.DisposeAsync().AsTask());
        if (_drain.Resume())
        {
            LogDrained(
                context.Loggers.CreateLogger<MeshPlacement>(), DateTimeOffset.FromUnixTimeMilliseconds(_drain.Answer.Since), membership.Self.Value);
        }

        var node = new PlacementNode(blocks, orders, demand, bandwidth, sessions, _drain, time);
        var calls = new PlacementCalls(credential, membership, time);
        _stop.Add(calls);
        _scheduler = new PlacementScheduler(
            new SchedulerParts(
                membership, map.Locator, blocks, node, calls, sequences, options, context.Options.Engine.FarTiers.RecomputeBytesPerSecond),
            lease, journal, time, context.Loggers);
        _stop.Add(() => _scheduler.DisposeAsync().AsTask());
        var desk = new PlacementDesk(_scheduler, time);
        Desk = desk;
        Notes = new OperatorNotes(desk, time, context.Loggers.CreateLogger<OperatorNotes>());
        _stop.Add(() => Notes.DisposeAsync().AsTask());
        map.Door.Placement = node;
        map.Door.Desk = desk;
        PlacementMetrics.Add(context.Metrics, _scheduler, orders.Figures);
    }

    /// <summary>Takes note of what clients ask for.</summary>
    public DemandSampler Demand { get; }

    /// <summary>For operators, on any node.</summary>
    public PlacementDesk Desk { get; }

    /// <summary>What operators did to membership.</summary>
    public OperatorNotes Notes { get; }

    public void Start() => _scheduler.Start();

    /// <summary>
    /// Before a stop: has others take what only this node has, and offers what was used to tiers that all nodes share, within <c>Placement:DrainTimeout</c>. A
    /// node alone waits for nobody.
    /// </summary>
    public async Task LeaveAsync(CancellationToken cancellationToken)
    {
        var limit = _context.Options.Placement.DrainTimeout;
        var startedAt = _context.Time.GetTimestamp();
        if (limit > TimeSpan.Zero && _drain.HasTakers)
        {
            _drain.BeginLeaving();
            await _drain.WaitAsync(limit, cancellationToken).ConfigureAwait(false);
        }

        var left = limit - _context.Time.GetElapsedTime(startedAt);
        if (left > TimeSpan.Zero)
        {
            await Task.Run(() => _context.Engine.OfferLeaving(left), cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Ends this node's planning, so that another one begins at once.</summary>
    public ValueTask StopAsync() => _scheduler.DisposeAsync();

    public async ValueTask DisposeAsync() => await _stop.RunAsync().ConfigureAwait(false);

    [LoggerMessage(6110, LogLevel.Warning, "This node is to be empty since {Since:u}, as an operator asked, and takes no blocks; 'kvmesh drain {Id} --undo' takes that back.")]
    private static partial void LogDrained(ILogger logger, DateTimeOffset since, string id);
}
