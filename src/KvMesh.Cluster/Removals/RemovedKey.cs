namespace KvMesh.Cluster.Removals;

/// <summary>A block that was removed: its tenant and key, as on every node.</summary>
public readonly record struct RemovedKey(string Tenant, ReadOnlyMemory<byte> Key);
