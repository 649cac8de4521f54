using KvMesh.Engine.Blocks;

namespace KvMesh.Gateway.Http;

/// <summary>Names of a node's own tiers in the admin API.</summary>
internal static class TierNames
{
    public const string Host = "host";
    public const string Disk = "disk";

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
    }
}
