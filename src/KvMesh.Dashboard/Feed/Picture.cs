using System.Net;
using KvMesh.Client.Admin;

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

/// <summary>All that a page shows, at one moment. Immutable: pages share it.</summary>
public abstract record Picture
{
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
}

/// <summary>Something that the node gave, or why it did not.</summary>
/// <param name="IsDenied">The token's rights do not cover it.</param>
/// <param name="IsAbsent">The node has nothing of the kind.</param>
/// <param name="Refusal">Why it was not given otherwise, in the node's own words.</param>
public sealed record Part<T>(T? Value, bool IsDenied, bool IsAbsent = false, string? Refusal = null)
    where T : class;

internal static class Part
{
    public static Part<T> Unknown<T>()
        where T : class => new(null, IsDenied: false);

    /// <summary>What the node answers: a refusal of one thing is no reason to show nothing of the others.</summary>
    /// <exception cref="AdminRefusedException">The node wants a token, or another one.</exception>
    public static async Task<Part<T>> OfAsync<T>(Task<T> asked)
        where T : class
    {
        try
        {
            return new Part<T>(await asked.ConfigureAwait(false), IsDenied: false);
        }
        catch (AdminRefusedException refusal) when (!refusal.NeedsToken)
        {
            return new Part<T>(null, refusal.LacksRights, refusal.StatusCode == HttpStatusCode.NotFound, refusal.Message);
        }
    }
}
