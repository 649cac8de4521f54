namespace KvMesh.Protocol.Admin;

/// <summary>Body of <c>POST /api/v1/purge</c>: which blocks go at once.</summary>
/// <param name="Tenant">Owner of the blocks; null for the caller's own tenant.</param>
/// <param name="Model">Only blocks of this model; null for all.</param>
/// <param name="Revision">Only blocks of this revision, with a model; null for all.</param>
[System.Text.Json.Serialization.JsonUnmappedMemberHandling(System.Text.Json.Serialization.JsonUnmappedMemberHandling.Disallow)]
public sealed record PurgeRequest(string? Tenant, string? Model, string? Revision)
{
    /// <summary>Wait for the other nodes when none is named, and the longest.</summary>
    public const int DefaultWaitSeconds = 5;

    public const int MaxWaitSeconds = 300;

    /// <summary>How long to wait for the other nodes of the cluster, in seconds; null for <see cref="DefaultWaitSeconds"/>, 0 for not at all.</summary>
    public double? WaitSeconds { get; init; }
}

/// <summary>What a purge has done.</summary>
/// <param name="RemovedBlocks">Blocks that were visible on the asked node and are gone.</param>
public sealed record PurgeResult(string Tenant, long RemovedBlocks)
{
    /// <summary>Nodes of the cluster, the asked one among them.</summary>
    public int Nodes { get; init; } = 1;

    /// <summary>Whether the other nodes can learn of it. False: the store of the cluster is silent, and they are told when it answers.</summary>
    public bool IsTold { get; init; } = true;

    /// <summary>Nodes that had not carried it out when the wait was over. They do so when they are back, before they give a block to another node.</summary>
    public IReadOnlyList<string> Behind { get; init; } = [];

    /// <summary>Why the others could not be told or asked; empty: nothing.</summary>
    public string Problem { get; init; } = "";
}

/// <summary>Whether there was a block to remove.</summary>
public sealed record RemoveResult(bool Removed);
