using KvMesh.Protocol.Admin;

namespace KvMesh.Dashboard.Board;

/// <summary>How the board calls tiers and doors.</summary>
internal static class TierNames
{
    public static string Of(string tier) => tier switch
    {
        "host" => "RAM",
        "disk" => "Disk",
        "gpu" => "Workers",
        "peers" => "Other nodes",
        "redis" => "Redis",
        _ => tier,
    };

    /// <summary>In the middle of a sentence.</summary>
    public static string FarName(string tier) => tier switch
    {
        "peers" => "other nodes",
        "gpu" => "workers",
        _ => Of(tier),
    };

    public static string Place(string tier) => tier switch
    {
        "host" => "in RAM",
        "disk" => "on disk",
        "gpu" => "in the memory of a worker",
        _ => $"in {tier}",
    };

    public static string OfProtocol(string protocol) => protocol switch
    {
        "native" => "Native",
        "resp" => "RESP",
        "http" => "HTTP",
        "shm" => "Shared memory",
        _ => protocol,
    };

    public static string StateOf(FarTierStatus tier) => tier.State switch
    {
        "up" => "reachable",
        "partly" => "some are left alone, because they failed",
        "read-only" => "takes no blocks now",
        "down" => "not asked now, because it failed",
        _ => tier.State,
    };

    public static double? ShareUsed(TierStatus tier) =>
        tier.CapacityBytes > 0 ? (double)tier.UsedBytes / tier.CapacityBytes : null;
}
