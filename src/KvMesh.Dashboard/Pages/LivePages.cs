using System.Globalization;
using KvMesh.Dashboard.Access;
using KvMesh.Dashboard.Board;
using KvMesh.Dashboard.Capacity;
using KvMesh.Dashboard.Cluster;
using KvMesh.Dashboard.Feed;
using KvMesh.Dashboard.Sequences;
using KvMesh.Dashboard.Views;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Extensions;

namespace KvMesh.Dashboard.Pages;

/// <summary>One node.</summary>
internal sealed class BoardPage(Feeds feeds, FrameRenderer frames) : LivePage("", "KvMesh")
{
    /// <summary>Frames come every second.</summary>
    public override int PatienceMilliseconds => 3_000;

    public override ILook Look(IQueryCollection query, Viewer viewer) => new BoardLook(feeds.Node(viewer.Token), query["window"], frames);

    private sealed class BoardLook(FeedLease<NodePicture> lease, string? window, FrameRenderer frames) : Look<NodePicture>(lease)
    {
        protected override Task<byte[]> RenderAsync(NodePicture picture)
        {
            var shown = TimeWindow.Parse(window, picture.History.Count);
            return frames.RenderAsync<BoardView>(Feed, picture.Version, shown.Minutes, () => new() { [nameof(BoardView.Model)] = BoardModel.From(picture, shown) });
        }

        protected override string QueryOf(NodePicture picture) => $"?window={TimeWindow.Parse(window, picture.History.Count).Minutes}";

        protected override TimeWindow? WindowOf(NodePicture picture) => TimeWindow.Parse(window, picture.History.Count);
    }
}

/// <summary>The cluster as one node sees it.</summary>
internal sealed class ClusterPage(Feeds feeds, FrameRenderer frames) : LivePage("/cluster", "KvMesh · cluster")
{
    public override ILook Look(IQueryCollection query, Viewer viewer) => new ClusterLook(feeds.Cluster(viewer.Token), frames);

    private sealed class ClusterLook(FeedLease<ClusterPicture> lease, FrameRenderer frames) : Look<ClusterPicture>(lease)
    {
        protected override Task<byte[]> RenderAsync(ClusterPicture picture) =>
            frames.RenderAsync<ClusterView>(Feed, picture.Version, 0, () => new() { [nameof(ClusterView.Picture)] = picture });
    }
}

/// <summary>What more memory, or a codec, would change.</summary>
internal sealed class CapacityPage(Feeds feeds, FrameRenderer frames) : LivePage(CapacityLinks.Path, "KvMesh · capacity")
{
    public override ILook Look(IQueryCollection query, Viewer viewer) => new CapacityLook(feeds.Capacity(new CapacityKey(viewer.Token, CapacityLinks.ChangeOf(query))), frames);

    private sealed class CapacityLook(FeedLease<CapacityPicture> lease, FrameRenderer frames) : Look<CapacityPicture>(lease)
    {
        protected override Task<byte[]> RenderAsync(CapacityPicture picture) =>
            frames.RenderAsync<CapacityView>(Feed, picture.Version, 0, () => new() { [nameof(CapacityView.Picture)] = picture });

        protected override string QueryOf(CapacityPicture picture) => CapacityLinks.QueryOf(picture.Change);
    }
}

/// <summary>The sequences of a tenant.</summary>
internal sealed class SequenceListPage(Feeds feeds, FrameRenderer frames) : LivePage("/sequences", "KvMesh · sequences")
{
    public override ILook Look(IQueryCollection query, Viewer viewer) =>
        new ListLook(feeds.Sequences(new SequenceListKey(viewer.Token, SequenceLinks.Field(query, "tenant"), SequenceLinks.Field(query, "after"))), query, frames);

    private sealed class ListLook(FeedLease<SequenceListPicture> lease, IQueryCollection query, FrameRenderer frames) : Look<SequenceListPicture>(lease)
    {
        private readonly string _query = new QueryBuilder(SequenceLinks.Known(query, "tenant", "after")).ToString();

        protected override Task<byte[]> RenderAsync(SequenceListPicture picture) =>
            frames.RenderAsync<SequenceListView>(Feed, picture.Version, 0, () => new() { [nameof(SequenceListView.Picture)] = picture });

        protected override string QueryOf(SequenceListPicture picture) => _query;
    }
}

/// <summary>One sequence and where it is.</summary>
internal sealed class SequencePage(Feeds feeds, FrameRenderer frames) : LivePage("/sequence", "KvMesh · sequence")
{
    public override string Home => DashboardExtensions.BasePath + "/sequences";

    public override ILook Look(IQueryCollection query, Viewer viewer)
    {
        _ = int.TryParse(query["first"], NumberStyles.None, CultureInfo.InvariantCulture, out var first);
        var key = new SequenceKey(viewer.Token, SequenceLinks.Field(query, "tenant"), SequenceLinks.Field(query, "name") ?? "", first);
        return new SequenceLook(feeds.Sequence(key), query, frames);
    }

    private sealed class SequenceLook(FeedLease<SequencePicture> lease, IQueryCollection query, FrameRenderer frames) : Look<SequencePicture>(lease)
    {
        private readonly string _query = new QueryBuilder(SequenceLinks.Known(query, "tenant", "name", "first")).ToString();

        protected override Task<byte[]> RenderAsync(SequencePicture picture) =>
            frames.RenderAsync<SequenceView>(Feed, picture.Version, 0, () => new() { [nameof(SequenceView.Picture)] = picture });

        protected override string QueryOf(SequencePicture picture) => _query;
    }
}
