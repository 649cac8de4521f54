using KvMesh.Client.Admin;

namespace KvMesh.Dashboard.Feed;

/// <summary>Follows one node for its board: one stream of updates, and lists now and then.</summary>
internal sealed class NodeFeed(FeedSource source) : LiveFeed<NodePicture>(source, new NodePicture())
{
    /// <summary>The node keeps ten minutes; this much is shown.</summary>
    public const int HistorySeconds = 600;

    private const int PrefixCount = 10;
    private const int ListsEveryUpdates = 3;

    /// <summary>A list of prefixes costs the node a walk over its blocks, and says little that is new a moment later.</summary>
    private const int PrefixesEveryUpdates = 10;

    /// <summary>An update comes every second; three that did not come mean that the node hangs.</summary>
    protected override TimeSpan Silence => TimeSpan.FromSeconds(3);

    protected override async Task FollowAsync(AdminClient admin, CancellationToken cancellationToken)
    {
        using var silence = new CancellationTokenSource(Silence, Source.Time);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, silence.Token);
        var history = new HistoryWindow(HistorySeconds);
        history.Replace((await admin.GetHistoryAsync(HistorySeconds, patience.Token).ConfigureAwait(false)).Samples);
        var updates = 0;
        await foreach (var update in admin.WatchAsync(patience.Token).ConfigureAwait(false))
        {
            silence.CancelAfter(Silence);
            if (update.Sample is { } sample)
            {
                history.Add(sample);
            }

            var picture = await WithListsAsync(admin, Current, updates++, patience.Token).ConfigureAwait(false);
            silence.CancelAfter(Silence);
            PublishLive(picture with { Status = update.Status, History = history.ToList() });
        }
    }

    private static async Task<NodePicture> WithListsAsync(AdminClient admin, NodePicture picture, int update, CancellationToken cancellationToken)
    {
        if (update % ListsEveryUpdates == 0)
        {
            var tenants = await Part.OfAsync(admin.GetTenantsAsync(cancellationToken)).ConfigureAwait(false);
            var connections = await Part.OfAsync(admin.GetConnectionsAsync(cancellationToken)).ConfigureAwait(false);
            picture = picture with { Tenants = tenants, Connections = connections };
        }

        if (update % PrefixesEveryUpdates == 0)
        {
            picture = picture with { Prefixes = await Part.OfAsync(admin.GetPrefixesAsync(PrefixCount, cancellationToken)).ConfigureAwait(false) };
        }

        return picture;
    }
}
