using Microsoft.Extensions.Logging;

namespace KvMesh.Dashboard.Feed;

/// <summary>All feeds of this process. A null token asks without one.</summary>
internal sealed class Feeds : IAsyncDisposable
{
    private readonly FeedPool<TokenKey, NodePicture> _nodes;
    private readonly FeedPool<TokenKey, ClusterPicture> _clusters;
    private readonly FeedPool<CapacityKey, CapacityPicture> _capacities;
    private readonly FeedPool<SequenceListKey, SequenceListPicture> _lists;
    private readonly FeedPool<SequenceKey, SequencePicture> _sequences;

    public Feeds(NodeAddress node, TimeProvider time, ILogger<Feeds> logger)
    {
        FeedSource SourceOf(string? token) => new(node.Resolve(), token, time, logger);
        _nodes = new(key => new NodeFeed(SourceOf(key.Token)), time);
        _clusters = new(key => new ClusterFeed(SourceOf(key.Token)), time);
        _capacities = new(key => new CapacityFeed(SourceOf(key.Token), key), time);
        _lists = new(key => new SequenceListFeed(SourceOf(key.Token), key), time);
        _sequences = new(key => new SequenceFeed(SourceOf(key.Token), key), time);
    }

    public FeedLease<NodePicture> Node(string? token) => _nodes.Attach(new TokenKey(token));

    public FeedLease<ClusterPicture> Cluster(string? token) => _clusters.Attach(new TokenKey(token));

    public FeedLease<CapacityPicture> Capacity(CapacityKey key) => _capacities.Attach(key);

    public FeedLease<SequenceListPicture> Sequences(SequenceListKey key) => _lists.Attach(key);

    public FeedLease<SequencePicture> Sequence(SequenceKey key) => _sequences.Attach(key);

    public async ValueTask DisposeAsync()
    {
        await _nodes.DisposeAsync().ConfigureAwait(false);
        await _clusters.DisposeAsync().ConfigureAwait(false);
        await _capacities.DisposeAsync().ConfigureAwait(false);
        await _lists.DisposeAsync().ConfigureAwait(false);
        await _sequences.DisposeAsync().ConfigureAwait(false);
    }

    private readonly record struct TokenKey(string? Token);
}

/// <summary>What a change of capacity would do.</summary>
internal readonly record struct CapacityKey(string? Token, CapacityChange Change);

/// <summary>A page of a tenant's sequences.</summary>
/// <param name="Tenant">Null: the caller's own.</param>
/// <param name="After">The last name of the page before; null: the first page.</param>
internal readonly record struct SequenceListKey(string? Token, string? Tenant, string? After);

/// <summary>One sequence, with a page of its segments.</summary>
/// <param name="First">Index of the first segment of the page.</param>
internal readonly record struct SequenceKey(string? Token, string? Tenant, string Name, int First);
