using System.Collections.Immutable;
using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Placement.Scheduler;
using KvMesh.Cluster.Removals;
using KvMesh.Cluster.Scheduling;
using KvMesh.Cluster.Sequences;
using KvMesh.Protocol.Admin;
using KvMesh.Remote.Redis.Coordination;
using KvMesh.Server.Hosting;
using KvMesh.Server.Mesh.Silos;
using KvMesh.Server.Telemetry;
using NodeId = KvMesh.Cluster.Membership.NodeId;

namespace KvMesh.Server.Mesh;

/// <summary>
/// The parts of a node that make it one of several: it builds them, starts them once the doors are bound, and stops them before the
/// doors close. On a node of its own the same parts run, hosted in this process.
/// </summary>
internal sealed class MeshHost : IAsyncDisposable
{
    private static readonly TimeSpan LeaseDuration = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan CapacityInterval = TimeSpan.FromSeconds(10);

    /// <summary>Answers of the store that a start waits for to learn what was removed meanwhile.</summary>
    private const int CatchUpTries = 5;

    private readonly MeshContext _context;
    private readonly StopSteps _stop = new();
    private readonly MembershipOptions _times;
    private readonly MeshSilo? _silo;
    private ITimer? _capacityTimer;

    /// <summary>Builds the parts. Nothing runs yet, and nobody is spoken to.</summary>
    public MeshHost(MeshContext context)
    {
        _context = context;
        var mesh = context.Options.Mesh;
        var state = MeshState.Open(context.Options.DataDirectory);
        Self = NodeId.Parse(mesh.NodeId);
        Credential = CredentialOf(mesh);
        context.Access.AdmitsPeer = token => Credential.Admits(token, Self);
        _times = new MembershipOptions { HeartbeatInterval = mesh.HeartbeatInterval, FailureTime = mesh.FailureTime };
        if (MeshOptionsRules.IsShared(mesh))
        {
            Link = new RedisLink(mesh.Redis, $"kvmesh-{Self}", context.Time);
            _stop.Add(() => Link.DisposeAsync().AsTask());
            Store = new RedisMembershipStore(Link, mesh.Cluster);
            _silo = MeshSequences.OpenSilo(context, _stop);
            Lease = _silo?.LeaseFor(Self, Orders, LeaseDuration)
                ?? new RedisSchedulerLease(Link, mesh.Cluster, Self, Orders, LeaseDuration, _times.StoreTimeout, context.Time);
            Journal = new RedisPlacementJournal(Link, mesh.Cluster, _times.StoreTimeout);
        }
        else
        {
            Store = new EmbeddedMembershipStore(mesh.Cluster, context.Time);
            Lease = new EmbeddedSchedulerLease(Self, Orders, context.Time);
            Journal = new EmbeddedPlacementJournal(context.Options.DataDirectory, context.Loggers);
        }

        _stop.Add(() => Store.DisposeAsync().AsTask());
        _stop.Add(() => Lease.DisposeAsync().AsTask());
        _stop.Add(() => Journal.DisposeAsync().AsTask());
        var record = new NodeRecord
        {
            Id = Self,
            NativeAddress = "",
            Machine = Environment.MachineName,
            Version = context.Version,
            MinProtocol = context.Protocols.Lowest,
            MaxProtocol = context.Protocols.Highest,
            Tiers = Capacities(),
        };
        var seat = new MembershipSeat(record, state.Owner, state.Incarnation, state.IdentityOf(mesh.Cluster), state.Save);
        Membership = new Membership(Store, seat, _times, Orders, context.Time, context.Loggers);
        _stop.Add(() => Membership.DisposeAsync().AsTask());
        Removals = MeshRemovals.Open(context, Link, Membership, _times.StoreTimeout, _stop);
        Map = new MeshMap(context, Self, Membership, Credential);
        Map.Door.Removals = Removals;
        _stop.Add(() => Map.DisposeAsync().AsTask());
        Far = new FarTierStates(
            Self, PeerReads.Attach(context, Map.Locator, Membership, Credential, Removals, _stop), RedisBlocks.Attach(context, Removals, _stop));
        MeshMetrics.Add(context.Metrics.Meter, Membership, mesh, context.Time);
        var sequences = MeshSequences.Open(context, _silo, _stop);
        Sequences = sequences;
        Placement = new MeshPlacement(context, Membership, Map, sequences.ForPlacement, Lease, Journal, Orders, Credential);
        _stop.Add(() => Placement.DisposeAsync().AsTask());
    }

    public NodeId Self { get; }

    public Membership Membership { get; }

    /// <summary>Who is in the cluster, for every other part.</summary>
    public IClusterViews Views => Membership;

    /// <summary>What was removed in the cluster; null on a node of its own.</summary>
    public Removals? Removals { get; }

    /// <summary>Which nodes hold which blocks.</summary>
    public MeshMap Map { get; }

    /// <summary>The tiers beyond this node, for operators.</summary>
    public FarTierStates Far { get; }

    /// <summary>How this node shows others that it is a member.</summary>
    public PeerCredential Credential { get; }

    /// <summary>Decides whose orders this node follows.</summary>
    public OrderGate Orders { get; } = new();

    /// <summary>Which node plans placement.</summary>
    public ISchedulerLease Lease { get; }

    /// <summary>What a scheduler leaves to its follower.</summary>
    public IPlacementJournal Journal { get; }

    /// <summary>The connection to Redis for what is coordinated there; null on a node of its own.</summary>
    public RedisLink? Link { get; }

    /// <summary>Sessions of applications.</summary>
    public ISequenceHost Sequences { get; }

    /// <summary>What this node does for placement.</summary>
    public MeshPlacement Placement { get; }

    /// <summary>Where the nodes meet.</summary>
    public IMembershipStore Store { get; }

    /// <summary>The cluster as this node sees it, for operators.</summary>
    public ClusterStatus Status() => MeshStatus.Of(Membership, _context.Options.Mesh.Cluster, Store.Description, _context.Time);

    /// <summary>
    /// Carries out what was removed while this node was away, before its doors serve. A store that does not answer delays this by a few answers, since a
    /// process that has just begun is itself slow to connect: then the node serves its own clients what it has, and no other node that knows more.
    /// </summary>
    /// <param name="isTakeOver">Clients wait, and the node before was not away: one answer must do.</param>
    public async Task CatchUpAsync(bool isTakeOver, CancellationToken cancellationToken)
    {
        if (Removals is not null)
        {
            await Removals.CatchUpAsync(_times.StoreTimeout, isTakeOver ? 1 : CatchUpTries, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Waits until every node has carried out what was purged on this one.</summary>
    public Task<PurgeReport> AwaitPurgesAsync(TimeSpan patience, CancellationToken cancellationToken) =>
        Removals?.WaitForPurgesAsync(patience, cancellationToken) ?? Task.FromResult(new PurgeReport(1, true, [], ""));

    /// <summary>Joins, once the doors are bound. A store that does not answer delays nothing: the node joins when it does.</summary>
    /// <exception cref="NodeStartException">Another living node has this node's id.</exception>
    public async Task StartAsync(NodeEndpoints endpoints, CancellationToken cancellationToken)
    {
        Membership.Change(record => MeshAddresses.Put(record, _context.Options, endpoints));
        Membership.Start();
        _silo?.Start();
        Removals?.Start();
        Map.Start();
        Placement.Start();
        _capacityTimer = _context.Time.CreateTimer(_ => ReportCapacity(), null, CapacityInterval, CapacityInterval);

        // A dead node's id is free after a failure time; whether its holder is dead or alive is known before that.
        Task firstWord = Membership.FirstWord.WaitAsync(_times.FailureTime + _times.StoreTimeout * 2, _context.Time, cancellationToken);
        await firstWord.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        cancellationToken.ThrowIfCancellationRequested();
        if (Membership.Standing is { IsContested: true } refused)
        {
            throw new NodeStartException($"{refused.Reason} Set Mesh:NodeId to an id of its own, or stop the other node.");
        }
    }

    /// <summary>Before the doors close for good: others take what only this node has, as long as the options allow.</summary>
    public Task DrainAsync(CancellationToken cancellationToken) => Placement.LeaveAsync(cancellationToken);

    /// <summary>Stops taking part. A node that hands over to a successor says no goodbye: the successor goes on under its id.</summary>
    public async Task StopAsync(bool isHandingOver)
    {
        await Placement.StopAsync().ConfigureAwait(false);

        // Nobody who closes a door waits for another node.
        _context.Engine.StopFetching();
        if (_capacityTimer is not null)
        {
            await _capacityTimer.DisposeAsync().ConfigureAwait(false);
        }

        if (!isHandingOver)
        {
            await Membership.LeaveAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Declares another node gone, and has it written down who did. False: there is no such member.</summary>
    public async Task<bool> ForgetAsync(NodeId node, string actor, CancellationToken cancellationToken)
    {
        if (!await Membership.ForgetAsync(node, cancellationToken).ConfigureAwait(false))
        {
            return false;
        }

        Placement.Notes.NoteForgotten(node, actor);
        return true;
    }

    public async ValueTask DisposeAsync() => await _stop.RunAsync().ConfigureAwait(false);

    private static PeerCredential CredentialOf(MeshOptions mesh) => TokenOf(mesh).Speaking(mesh.SpokenVersions);

    private static PeerCredential TokenOf(MeshOptions mesh) =>
        mesh.KeyFile.Length > 0 ? PeerCredential.FromKey(File.ReadAllBytes(mesh.KeyFile), mesh.Cluster)
        : mesh.PeerToken.Length > 0 ? PeerCredential.FromToken(mesh.PeerToken)
        : PeerCredential.None;

    private ImmutableArray<TierCapacity> Capacities() =>
        [.. _context.Engine.Snapshot().Tiers.Select(tier => new TierCapacity(tier.Name, tier.CapacityBytes, tier.UsedBytes))];

    /// <summary>
    /// Whether the others should hear of a tier: it filled or emptied by a twentieth, or holds less than half or more than twice what they know. So a thousand
    /// nodes do not tell each other noise, and one that was empty or is emptied does not look as it was.
    /// </summary>
    internal static bool IsNews(TierCapacity told, TierCapacity now)
    {
        var (less, more) = (Math.Min(told.UsedBytes, now.UsedBytes), Math.Max(told.UsedBytes, now.UsedBytes));
        return told.CapacityBytes != now.CapacityBytes || (more - less) * 20 > now.CapacityBytes || more > less * 2;
    }

    private void ReportCapacity()
    {
        var now = Capacities();
        var told = Membership.Record.Tiers;
        if (now.Length != told.Length || now.Zip(told).Any(pair => IsNews(pair.Second, pair.First)))
        {
            Membership.Change(record => record with { Tiers = now });
        }
    }
}
