using KvMesh.Client.Admin;

namespace KvMesh.Dashboard.Feed;

/// <summary>A feed that looks at the node at an interval.</summary>
internal abstract class PollingFeed<TPicture>(FeedSource source, TPicture first, TimeSpan interval) : LiveFeed<TPicture>(source, first)
    where TPicture : Picture
{
    protected override TimeSpan Silence => TimeSpan.FromSeconds(5);

    protected override async Task FollowAsync(AdminClient admin, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(interval, Source.Time);
        do
        {
            using var silence = new CancellationTokenSource(Silence, Source.Time);
            using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, silence.Token);
            PublishLive(await LookAsync(admin, patience.Token).ConfigureAwait(false));
        }
        while (await timer.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false));
    }

    /// <summary>The next picture.</summary>
    protected abstract Task<TPicture> LookAsync(AdminClient admin, CancellationToken cancellationToken);
}
