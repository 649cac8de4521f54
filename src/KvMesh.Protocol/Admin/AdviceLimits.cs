namespace KvMesh.Protocol.Admin;

/// <summary>What may be asked of the capacity advisor.</summary>
public static class AdviceLimits
{
    /// <summary>1 PiB: more than any node has, and far from what a sum of bytes can hold.</summary>
    public const long MaxMoreBytes = 1L << 50;

    /// <summary>No codec of the field keeps a block in less than a hundredth.</summary>
    public const int MaxCodecRatio = 100;
}
