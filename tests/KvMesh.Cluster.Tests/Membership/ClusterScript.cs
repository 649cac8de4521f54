using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Scheduling;
using KvMesh.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Cluster.Tests.Membership;

/// <summary>Nodes that meet in one store, on clocks of the test: each step lets time pass and gives every living node a turn.</summary>
internal sealed class ClusterScript : IAsyncDisposable
{
    public static readonly TimeSpan Step = TimeSpan.FromMilliseconds(500);

    private readonly EmbeddedMembershipStore _inner;
    private readonly List<Node> _nodes = [];

    public ClusterScript() => _inner = new EmbeddedMembershipStore("test", StoreClock);

    /// <summary>What nodes measure time by.</summary>
    public SimulatedClock Clock { get; } = new();

    /// <summary>What the store measures time by.</summary>
    public SimulatedClock StoreClock { get; } = new();

    public MembershipOptions Options { get; } = new();

    /// <summary>Whether the store answers nobody.</summary>
    public bool IsStoreSilent { get; set; }

    /// <summary>Everything in the store, as a member that has read nothing gets it.</summary>
    public async Task<BeatReply> ReadStoreAsync() =>
        await _inner.BeatAsync(new BeatRequest(NodeId.Parse("nobody"), 0, "", null, Options.SilentAfter, default), CancellationToken.None);

    public IReadOnlyList<Node> Nodes => _nodes;

    public Node Add(string id, string? owner = null, int minProtocol = 1, int maxProtocol = 1, long lastIncarnation = 0)
    {
        var record = new NodeRecord { Id = NodeId.Parse(id), NativeAddress = $"{id}:{_nodes.Count + 1}", MinProtocol = minProtocol, MaxProtocol = maxProtocol };
        var seat = new MembershipSeat(record, owner ?? $"owner-{id}", lastIncarnation);
        var membership = new KvMesh.Cluster.Membership.Membership(
            new SilenceableStore(this, _inner), seat, Options, new OrderGate(), Clock, NullLoggerFactory.Instance);
        var node = new Node(membership);
        _nodes.Add(node);
        return node;
    }

    public ClusterScript With(int count)
    {
        for (var i = 0; i < count; i++)
        {
            Add($"n{i}");
        }

        return this;
    }

    /// <summary>Lets time pass in steps.</summary>
    public async Task PassAsync(TimeSpan time)
    {
        for (var passed = TimeSpan.Zero; passed < time; passed += Step)
        {
            await StepAsync();
        }
    }

    /// <summary>Lets time pass until a condition holds, and returns how long that took. Fails after a minute.</summary>
    public async Task<TimeSpan> UntilAsync(Func<bool> condition, string what)
    {
        var passed = TimeSpan.Zero;
        while (!condition())
        {
            Assert.True(passed < TimeSpan.FromMinutes(1), $"Not seen in a minute: {what}.");
            await StepAsync();
            passed += Step;
        }

        return passed;
    }

    public async Task StepAsync()
    {
        Clock.Advance(Step);
        StoreClock.Advance(Step);
        foreach (var node in _nodes.Where(node => node.IsAlive && !node.IsPaused))
        {
            await node.Membership.TurnAsync(CancellationToken.None);
            node.CheckEpoch();
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var node in _nodes)
        {
            await node.Membership.DisposeAsync();
        }
    }

    internal sealed class Node(KvMesh.Cluster.Membership.Membership membership)
    {
        private long _epoch;

        public KvMesh.Cluster.Membership.Membership Membership { get; } = membership;

        public bool IsAlive { get; set; } = true;

        public bool IsPaused { get; set; }

        public string Sees => string.Join(',', Membership.Current.Nodes.Select(node => node.Id));

        public void CheckEpoch()
        {
            Assert.True(Membership.Current.Epoch >= _epoch, $"The epoch went from {_epoch} to {Membership.Current.Epoch}.");
            _epoch = Membership.Current.Epoch;
        }
    }

    private sealed class SilenceableStore(ClusterScript script, EmbeddedMembershipStore inner) : IMembershipStore
    {
        public event Action? Changed
        {
            add => inner.Changed += value;
            remove => inner.Changed -= value;
        }

        public string Description => inner.Description;

        public ValueTask<ClusterIdentity> AgreeAsync(ClusterIdentity? known, CancellationToken cancellationToken) => Open().AgreeAsync(known, cancellationToken);

        public ValueTask<JoinReply> JoinAsync(JoinRequest request, CancellationToken cancellationToken) => Open().JoinAsync(request, cancellationToken);

        public ValueTask<BeatReply> BeatAsync(BeatRequest request, CancellationToken cancellationToken) => Open().BeatAsync(request, cancellationToken);

        public ValueTask<BeatOutcome> RenewAsync(NodeId id, long incarnation, string owner, CancellationToken cancellationToken) =>
            Open().RenewAsync(id, incarnation, owner, cancellationToken);

        public ValueTask LeaveAsync(NodeId id, long incarnation, CancellationToken cancellationToken) => Open().LeaveAsync(id, incarnation, cancellationToken);

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;

        private EmbeddedMembershipStore Open() => script.IsStoreSilent ? throw new StoreSilentException("it was told to be silent") : inner;
    }
}
