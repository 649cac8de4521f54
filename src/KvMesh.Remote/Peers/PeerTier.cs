using System.Buffers;
using System.Collections.Concurrent;
using KvMesh.Cluster.Map;
using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Removals;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.FarTiers;

namespace KvMesh.Remote.Peers;

/// <summary>
/// The RAM and disks of the other nodes as a tier of this one. Where a block is comes from the map; it is pulled from the nodes that hold
/// it over the native protocol, which answers such a read from the node itself only: A asks B, and B asks nobody.
/// </summary>
public sealed class PeerTier : IBlockTier, IDisposable
{
    private const int HolderBits = 16;

    private static readonly TimeSpan TendInterval = TimeSpan.FromMilliseconds(250);

    private readonly ConcurrentDictionary<NodeId, Peer> _peers = new();
    private readonly IBlockLocator _locator;
    private readonly IClusterViews _views;
    private readonly Removals? _removals;
    private readonly PeerContext _context;
    private readonly PeerReadSurroundings _surroundings;
    private readonly ITimer _timer;
    private int _isTending;
    private volatile bool _isDisposed;

    /// <param name="removals">What was removed in the cluster; null: nothing ever is.</param>
    public PeerTier(IBlockLocator locator, IClusterViews views, PeerContext context, Removals? removals = null)
    {
        ArgumentNullException.ThrowIfNull(context);
        _removals = removals;
        _locator = locator;
        _views = views;
        _context = context;
        _surroundings = new PeerReadSurroundings(locator, context);
        _timer = context.Time.CreateTimer(_ => Tend(), null, TendInterval, TendInterval);
    }

    public string Name => "peers";

    public bool TakesOffers => false;

    /// <summary>The other nodes that were read from, ordered by name.</summary>
    public IReadOnlyList<PeerSnapshot> Peers() => [.. _peers.Values.Select(peer => peer.Snapshot()).OrderBy(peer => peer.Node, StringComparer.Ordinal)];

    public ulong Believes(Tenant tenant, ReadOnlySpan<byte> key) => Believes(tenant, key, _context.Options.DirectoryWait);

    public int CountPrefix(Tenant tenant, KeyRun keys, int from)
    {
        ArgumentNullException.ThrowIfNull(tenant);
        if (_removals?.IsPurging(tenant.Name) == true)
        {
            return 0;
        }

        var holders = ArrayPool<BlockHolders>.Shared.Rent(keys.Count - from);
        try
        {
            var asked = holders.AsSpan(0, keys.Count - from);
            asked.Clear();
            var count = _locator.MatchPrefix(tenant.Name, keys.Scope, keys.Hashes, from, asked, _context.Options.DirectoryWait);
            for (var index = 0; index < count; index++)
            {
                if (!IsReachable(asked[index], tenant.Name))
                {
                    return index;
                }
            }

            return count;
        }
        finally
        {
            ArrayPool<BlockHolders>.Shared.Return(holders);
        }
    }

    public FetchOutcome Fetch(Tenant tenant, ReadOnlySpan<byte> key, ulong belief, IBlockIntake intake)
    {
        ArgumentNullException.ThrowIfNull(tenant);

        // Looked at here, where a removal that comes from now on finds this fetch under way and ends it.
        var guard = default(PullGuard);
        if (_removals?.MayPull(tenant.Name, key, out guard) == false)
        {
            return FetchOutcome.NotHere;
        }

        var candidates = new List<PeerCandidate>(BlockHolders.Capacity);
        for (; belief != 0; belief >>= HolderBits)
        {
            var holder = (ushort)belief;
            if (TryFind(holder, tenant.Name) is { } peer)
            {
                candidates.Add(new PeerCandidate(holder, peer));
            }
        }

        if (candidates.Count == 0)
        {
            return FetchOutcome.Failed;
        }

        // Those that have it in RAM come first; of equals, who has the least to do.
        var ordered = candidates.OrderBy(static candidate => candidate.Peer.Pool.Busy).ToArray();
        return new PeerRead(tenant.Name, key.ToArray(), ordered, intake, guard, _surroundings).Run();
    }

    public bool Offer(in LeavingBlock block) => true;

    /// <inheritdoc/>
    public bool Forget(Tenant tenant, ReadOnlySpan<byte> key)
    {
        ArgumentNullException.ThrowIfNull(tenant);
        if (_removals is null)
        {
            return false;
        }

        // Nothing is asked of directories: a removal waits for no network.
        var wasBelieved = Believes(tenant, key, TimeSpan.Zero) != 0;
        _removals.Remove(tenant.Name, key);
        return wasBelieved;
    }

    /// <inheritdoc/>
    public void ForgetScope(Tenant tenant, string? model, string? revision) =>
        _removals?.Purge(new PurgeScope(tenant.Name, model, revision));

    public void Dispose()
    {
        _isDisposed = true;
        _timer.Dispose();
        foreach (var peer in _peers.Values)
        {
            peer.Dispose();
        }
    }

    private ulong Believes(Tenant tenant, ReadOnlySpan<byte> key, TimeSpan directoryWait)
    {
        ArgumentNullException.ThrowIfNull(tenant);
        if (_removals is { } removals && (removals.IsPurging(tenant.Name) || removals.IsQuiet(tenant.Name, key)))
        {
            return 0;
        }

        var holders = _locator.Locate(tenant.Name, key, directoryWait);
        var belief = 0UL;
        for (var index = holders.Count - 1; index >= 0; index--)
        {
            if (TryFind(holders[index], tenant.Name) is not null)
            {
                belief = (belief << HolderBits) | holders[index];
            }
        }

        return belief;
    }

    private bool IsReachable(BlockHolders holders, string tenant)
    {
        for (var index = 0; index < holders.Count; index++)
        {
            if (TryFind(holders[index], tenant) is not null)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>The node behind a number of the map, if it may be asked now.</summary>
    private Peer? TryFind(ushort holder, string tenant)
    {
        if (_isDisposed || _locator.NodeOf(holder) is not { } record || record.Id == _context.Self)
        {
            return null;
        }

        var peer = _peers.TryGetValue(record.Id, out var known) && IsSame(known.Record, record) ? known : Meet(record);
        return peer is { IsUsable: true } && peer.Admits(tenant, _context.Time) ? peer : null;
    }

    /// <summary>Takes up a node, or a new run of one.</summary>
    private Peer? Meet(NodeRecord record)
    {
        if (Peer.EndpointOf(record) is not { } endpoint)
        {
            return null;
        }

        Peer? replaced = null;
        var met = _peers.AddOrUpdate(
            record.Id,
            static (_, made) => made.Peer(),
            (_, known, made) =>
            {
                if (IsSame(known.Record, made.Record) || known.Record.Incarnation > made.Record.Incarnation)
                {
                    return known;
                }

                replaced = known;
                return made.Peer();
            },
            new Meeting(record, endpoint, _context));
        replaced?.Dispose();
        return met;
    }

    private static bool IsSame(NodeRecord known, NodeRecord record) =>
        known.Incarnation == record.Incarnation && known.NativeAddress == record.NativeAddress && known.State == record.State;

    /// <summary>Tries nodes that are left alone, when their time has come, and forgets those that left the cluster. One at a time.</summary>
    private void Tend()
    {
        if (_isDisposed || Interlocked.Exchange(ref _isTending, 1) != 0)
        {
            return;
        }

        try
        {
            var view = _views.Current;
            foreach (var (id, peer) in _peers)
            {
                if (view.Nodes.Length > 0 && view.Find(id) is null)
                {
                    if (_peers.TryRemove(id, out var gone))
                    {
                        gone.Dispose();
                    }
                }
                else if (!peer.Breaker.IsClosed && !_isDisposed)
                {
                    peer.Breaker.TryProbe(() => _surroundings.TryReach(peer));
                }
            }
        }
        finally
        {
            Volatile.Write(ref _isTending, 0);
        }
    }

    private readonly record struct Meeting(NodeRecord Record, System.Net.EndPoint Endpoint, PeerContext Context)
    {
        public Peer Peer() => new(Record, Endpoint, Context);
    }
}
