using KvMesh.Dashboard.Access;
using KvMesh.Dashboard.Feed;
using Microsoft.AspNetCore.Http;

namespace KvMesh.Dashboard.Pages;

/// <summary>A kind of page that stays up to date.</summary>
/// <param name="path">Below <see cref="DashboardExtensions.BasePath"/>; empty for the board.</param>
internal abstract class LivePage(string path, string title)
{
    /// <summary>Where it lies.</summary>
    public string Address { get; } = DashboardExtensions.BasePath + path;

    public string Title { get; } = title;

    /// <summary>Path of the page that is marked in the navigation.</summary>
    public virtual string Home => Address;

    /// <summary>How long the page may go without a frame before it says so, in milliseconds.</summary>
    public virtual int PatienceMilliseconds => 10_000;

    /// <summary>Begins to look, as a request asks for it. Dispose the look to look away.</summary>
    public abstract ILook Look(IQueryCollection query, Viewer viewer);
}

/// <summary>One look at a feed, and how what is seen there is drawn.</summary>
internal interface ILook : IDisposable
{
    Picture Current { get; }

    /// <summary>The current picture once it is newer than <paramref name="version"/>.</summary>
    Task<Picture> NewerThanAsync(long version, CancellationToken cancellationToken);

    /// <summary>The picture as UTF-8 of HTML; the caller only reads it.</summary>
    Task<byte[]> RenderAsync(Picture picture);

    /// <summary>What a request must ask for to see the same again, with its question mark; empty for nothing.</summary>
    string QueryOf(Picture picture);

    /// <summary>Stretch of time that is shown; null: the page does not show time.</summary>
    Board.TimeWindow? WindowOf(Picture picture);
}

/// <summary>A look at pictures of one kind.</summary>
internal abstract class Look<TPicture>(FeedLease<TPicture> lease) : ILook
    where TPicture : Picture
{
    protected LiveFeed<TPicture> Feed => lease.Feed;

    Picture ILook.Current => lease.Feed.Current;

    async Task<Picture> ILook.NewerThanAsync(long version, CancellationToken cancellationToken) =>
        await lease.Feed.NewerThanAsync(version, cancellationToken).ConfigureAwait(false);

    Task<byte[]> ILook.RenderAsync(Picture picture) => RenderAsync((TPicture)picture);

    string ILook.QueryOf(Picture picture) => QueryOf((TPicture)picture);

    Board.TimeWindow? ILook.WindowOf(Picture picture) => WindowOf((TPicture)picture);

    public void Dispose() => lease.Dispose();

    protected abstract Task<byte[]> RenderAsync(TPicture picture);

    protected virtual string QueryOf(TPicture picture) => "";

    protected virtual Board.TimeWindow? WindowOf(TPicture picture) => null;
}
