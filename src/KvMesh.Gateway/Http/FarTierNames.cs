namespace KvMesh.Gateway.Http;

/// <summary>Names of tiers beyond a node, as their <c>IBlockTier.Name</c> says them.</summary>
internal static class FarTierNames
{
    public const string Peers = "peers";
    public const string Redis = "redis";
}
