namespace KvMesh.Cluster.Removals;

/// <summary>Bounds of removals, each with its reason.</summary>
public static class RemovalLimits
{
    /// <summary>Keys that are told in one call: a script of about a millisecond.</summary>
    public const int MaxKeysPerCall = 128;

    /// <summary>Keys of a page: half a megabyte at most.</summary>
    public const int MaxKeysPerPage = 512;

    /// <summary>Removed keys that the log keeps: about 12 MB in Redis. A node that missed more lets all of its copies go.</summary>
    public const int MaxKeptKeys = 1 << 16;

    /// <summary>Scopes whose last purge is known. Beyond it the oldest are forgotten, and what was written before them is not believed.</summary>
    public const int MaxScopes = 4096;

    /// <summary>Removals that a node has not been able to tell; beyond it everything of the tenant is purged instead.</summary>
    public const int MaxUntold = 1 << 16;

    /// <summary>Removed keys that a node remembers, so that nobody who is behind gives them back; beyond it nobody who is behind is asked at all.</summary>
    public const int MaxTombstones = 1 << 16;
}
