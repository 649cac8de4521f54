using KvMesh.Protocol.Admin;

namespace KvMesh.Dashboard.Board;

/// <summary>How the board calls tiers and doors.</summary>
internal static class TierNames
{
    public static string Of(string tier) => tier switch
    {
        "host" => "RAM",
        "disk" => "Disk",
        _ => tier,
    };

    public static string Place(string tier) => tier switch
    {
        "host" => "in RAM",
        "disk" => "on disk",
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

    public static double? ShareUsed(TierStatus tier) =>
        tier.CapacityBytes > 0 ? (double)tier.UsedBytes / tier.CapacityBytes : null;
}
