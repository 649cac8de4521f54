using System.Collections.Immutable;
using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Scheduling;
using KvMesh.Cluster.Sequences;
using KvMesh.Protocol.Admin;
using KvMesh.Remote.Redis.Coordination;
using KvMesh.Server.Hosting;
using KvMesh.Server.Telemetry;
using NodeId = KvMesh.Cluster.Membership.NodeId;

namespace KvMesh.Server.Mesh;

/// <summary>
/// The parts of a node that make it one of several: it builds them, starts them once the doors are bound, and stops them before the
/// doors close. On a node of its own the same parts run, hosted in this process.
/// </summary>
internal sealed class MeshHost : IAsyncDisposable
{
    /// <summary>Versions of the protocol between nodes that this program speaks. A new version keeps the one before it.</summary>
    private const int MinProtocol = 1;
    private const int MaxProtocol = 1;

    private static readonly TimeSpan LeaseDuration = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan CapacityInterval = TimeSpan.FromSeconds(10);

    private readonly MeshContext _context;
    private readonly StopSteps _stop = new();
    private readonly MembershipOptions _times;
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
            Lease = new RedisSchedulerLease(Link, mesh.Cluster, Self, Orders, LeaseDuration, _times.StoreTimeout, context.Time);
        }
        else
        {
            Store = new EmbeddedMembershipStore(mesh.Cluster, context.Time);
            Lease = new EmbeddedSchedulerLease(Self, Orders, context.Time);
        }

        _stop.Add(() => Store.DisposeAsync().AsTask());
        _stop.Add(() => Lease.DisposeAsync().AsTask());
        var record = new NodeRecord
        {
            Id = Self,
            NativeAddress = "",
            Machine = Environment.MachineName,
            Version = context.Version,
            MinProtocol = MinProtocol,
            MaxProtocol = MaxProtocol,
            Tiers = Capacities(),
        };
        var seat = new MembershipSeat(record, state.Owner, state.Incarnation, state.IdentityOf(mesh.Cluster), state.Save);
        Membership = new Membership(Store, seat, _times, Orders, context.Time, context.Loggers);
        _stop.Add(() => Membership.DisposeAsync().AsTask());
        Map = new MeshMap(context, Self, Membership, Credential);
        _stop.Add(() => Map.DisposeAsync().AsTask());
        PeerReads.Attach(context, Map.Locator, Membership, Credential, _stop);
        RedisBlocks.Attach(context, _stop);
        MeshMetrics.Add(context.Meter, Membership, context.Time);
        Sequences = MeshSequences.Open(context, _stop);
    }

    public NodeId Self { get; }

    public Membership Membership { get; }

    /// <summary>Who is in the cluster, for every other part.</summary>
    public IClusterViews Views => Membership;

    /// <summary>Which nodes hold which blocks.</summary>
    public MeshMap Map { get; }

    /// <summary>How this node shows others that it is a member.</summary>
    public PeerCredential Credential { get; }

    /// <summary>Decides whose orders this node follows.</summary>
    public OrderGate Orders { get; } = new();

    /// <summary>Which node plans placement.</summary>
    public ISchedulerLease Lease { get; }

    /// <summary>The connection to Redis for what is coordinated there; null on a node of its own.</summary>
    public RedisLink? Link { get; }

    /// <summary>Sessions of applications.</summary>
    public ISequenceHost Sequences { get; }

    /// <summary>Where the nodes meet.</summary>
    public IMembershipStore Store { get; }

    /// <summary>The cluster as this node sees it, for operators.</summary>
    public ClusterStatus Status() => MeshStatus.Of(Membership, _context.Options.Mesh.Cluster, Store.Description, _context.Time);

    /// <summary>Joins, once the doors are bound. A store that does not answer delays nothing: the node joins when it does.</summary>
    /// <exception cref="NodeStartException">Another living node has this node's id.</exception>
    public async Task StartAsync(NodeEndpoints endpoints, CancellationToken cancellationToken)
    {
        Membership.Change(record => MeshAddresses.Put(record, _context.Options, endpoints));
        Membership.Start();
        Map.Start();
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

    /// <summary>Stops taking part. A node that hands over to a successor says no goodbye: the successor goes on under its id.</summary>
    public async Task StopAsync(bool isHandingOver)
    {
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

    public async ValueTask DisposeAsync() => await _stop.RunAsync().ConfigureAwait(false);

    private static PeerCredential CredentialOf(MeshOptions mesh) =>
        mesh.KeyFile.Length > 0 ? PeerCredential.FromKey(File.ReadAllBytes(mesh.KeyFile), mesh.Cluster)
        : mesh.PeerToken.Length > 0 ? PeerCredential.FromToken(mesh.PeerToken)
        : PeerCredential.None;

    private ImmutableArray<TierCapacity> Capacities() =>
        [.. _context.Engine.Snapshot().Tiers.Select(tier => new TierCapacity(tier.Name, tier.CapacityBytes, tier.UsedBytes))];

    /// <summary>Tells the others of a tier that filled or emptied by a twentieth, so that a thousand nodes do not tell each other noise.</summary>
    private void ReportCapacity()
    {
        var now = Capacities();
        var told = Membership.Record.Tiers;
        var isNews = now.Length != told.Length
            || now.Zip(told).Any(pair => Math.Abs(pair.First.UsedBytes - pair.Second.UsedBytes) * 20 > pair.First.CapacityBytes);
        if (isNews)
        {
            Membership.Change(record => record with { Tiers = now });
        }
    }
}
