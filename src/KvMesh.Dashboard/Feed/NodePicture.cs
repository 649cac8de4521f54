using KvMesh.Protocol.Admin;

namespace KvMesh.Dashboard.Feed;

/// <summary>How the node answers now.</summary>
public enum FeedState
{
    /// <summary>Nothing was heard yet.</summary>
    Connecting,
    Live,

    /// <summary>The node does not answer; the picture keeps its last figures.</summary>
    Offline,

    /// <summary>The node wants a token, or another one.</summary>
    NeedsToken,

    /// <summary>The node knows the token, which may not see the node's figures.</summary>
    LacksRights,
}

/// <summary>A list that the node gave, or why there is none.</summary>
/// <param name="IsDenied">The token's rights do not cover it.</param>
public sealed record Part<T>(T? Value, bool IsDenied)
    where T : class;

internal static class Part
{
    public static Part<T> Unknown<T>()
        where T : class => new(null, IsDenied: false);

    public static Part<T> Denied<T>()
        where T : class => new(null, IsDenied: true);
}

/// <summary>All that a page shows, at one moment. Immutable: pages share it.</summary>
public sealed record NodePicture
{
    public static NodePicture Empty { get; } = new();

    /// <summary>Grows by one with each picture of a feed.</summary>
    public long Version { get; init; }

    public Uri? Node { get; init; }

    public FeedState State { get; init; }

    /// <summary>Why the state is not live, in a sentence.</summary>
    public string? Trouble { get; init; }

    /// <summary>When the node was last heard.</summary>
    public DateTimeOffset? HeardAt { get; init; }

    /// <summary>When this picture was taken.</summary>
    public DateTimeOffset TakenAt { get; init; }

    public NodeStatus? Status { get; init; }

    /// <summary>Seconds of the node, oldest first.</summary>
    public IReadOnlyList<HistorySample> History { get; init; } = [];

    public Part<IReadOnlyList<TenantStatus>> Tenants { get; init; } = Part.Unknown<IReadOnlyList<TenantStatus>>();

    public Part<IReadOnlyList<ConnectionStatus>> Connections { get; init; } = Part.Unknown<IReadOnlyList<ConnectionStatus>>();

    public Part<PrefixList> Prefixes { get; init; } = Part.Unknown<PrefixList>();
}
