namespace KvMesh.Protocol.Native;

/// <summary>Maxima of workers that hold blocks in their own memory.</summary>
public static class HolderLimits
{
    /// <summary>Most entries of one answer to a wait: with keys of the greatest length they fit a head.</summary>
    public const int MaxAsksPerAnswer = 128;
}
