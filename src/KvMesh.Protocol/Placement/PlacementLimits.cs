namespace KvMesh.Protocol.Placement;

/// <summary>Maxima of what nodes tell each other about placement, each with its reason. Both ends hold them against what comes over the wire.</summary>
public static class PlacementLimits
{
    /// <summary>Most blocks of one order, one hold and one answer about a chain: what fits into a head with its keys written out.</summary>
    public const int MaxRunBlocks = 1024;

    /// <summary>Bytes of keys that a head may hold; the rest of it is fields.</summary>
    public const int MaxKeyBytes = 224 * 1024;

    /// <summary>Most wanted prefixes of one report.</summary>
    public const int MaxWanted = 64;

    /// <summary>Most sequences of one report: news since the last one, and what is left over comes with the next.</summary>
    public const int MaxSessions = 512;

    /// <summary>Most orders that one question about progress names.</summary>
    public const int MaxProgress = 1024;

    /// <summary>Longest text about an order or a drain.</summary>
    public const int MaxTextBytes = 200;

    /// <summary>Longest name of whoever acted, for the audit.</summary>
    public const int MaxActorBytes = 256;

    /// <summary>Longest answer for operators: 4,096 open orders and 1,000 ended ones as JSON.</summary>
    public const int MaxDeskBytes = 16 << 20;
}
