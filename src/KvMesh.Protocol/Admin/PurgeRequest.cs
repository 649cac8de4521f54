namespace KvMesh.Protocol.Admin;

/// <summary>Body of <c>POST /api/v1/purge</c>: which blocks go at once.</summary>
/// <param name="Tenant">Owner of the blocks; null for the caller's own tenant.</param>
/// <param name="Model">Only blocks of this model; null for all.</param>
/// <param name="Revision">Only blocks of this revision, with a model; null for all.</param>
[System.Text.Json.Serialization.JsonUnmappedMemberHandling(System.Text.Json.Serialization.JsonUnmappedMemberHandling.Disallow)]
public sealed record PurgeRequest(string? Tenant, string? Model, string? Revision);

/// <summary>How many blocks were visible before and are gone.</summary>
public sealed record PurgeResult(string Tenant, long RemovedBlocks);

/// <summary>Whether there was a block to remove.</summary>
public sealed record RemoveResult(bool Removed);
