using KvMesh.Protocol.Admin;

namespace KvMesh.Dashboard.Feed;

/// <summary>A page of a tenant's sequences.</summary>
public sealed record SequenceListPicture : Picture
{
    /// <summary>Tenant that was asked for; null: the caller's own.</summary>
    public string? Tenant { get; init; }

    /// <summary>Whether this is not the first page.</summary>
    public bool IsLaterPage { get; init; }

    /// <summary>Names of tenants to choose from.</summary>
    public IReadOnlyList<string> Tenants { get; init; } = [];

    public SequenceList? List { get; init; }

    /// <summary>Why the node gives no list, in its own words.</summary>
    public string? Refusal { get; init; }
}

/// <summary>One sequence.</summary>
public sealed record SequencePicture : Picture
{
    /// <summary>Tenant that was asked for; null: the caller's own.</summary>
    public string? Tenant { get; init; }

    public string Name { get; init; } = "";

    public SequenceStatus? Status { get; init; }

    /// <summary>A page of its segments, with their places.</summary>
    public SegmentList? Segments { get; init; }

    /// <summary>Why the node does not show it, in its own words.</summary>
    public string? Refusal { get; init; }
}
