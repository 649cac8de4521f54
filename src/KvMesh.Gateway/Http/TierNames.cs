using KvMesh.Engine.Blocks;

namespace KvMesh.Gateway.Http;

/// <summary>Names of a node's own tiers in the admin API.</summary>
internal static class TierNames
{
    public const string Host = "host";
    public const string Disk = "disk";

    /// <summary>The memory of workers that are connected to it.</summary>
    public const string Gpu = "gpu";

    public static IEnumerable<string> Of(BlockTiers tiers)
    {
        if (tiers.HasFlag(BlockTiers.Host))
        {
            yield return Host;
        }

        if (tiers.HasFlag(BlockTiers.Disk))
        {
            yield return Disk;
        }

        if (tiers.HasFlag(BlockTiers.Gpu))
        {
            yield return Gpu;
        }
    }
}
