namespace KvMesh.Protocol.Native;

/// <summary>Maxima of blocks that are read while they are written.</summary>
public static class ProgressiveLimits
{
    /// <summary>Most sections of a block: more than the layers of any model, each in sixteen parts; their checksums fit a head many times.</summary>
    public const int MaxSections = 4096;

    /// <summary>Most blocks that one connection writes by section at a time: a prefill of 1,024 blocks, layer by layer.</summary>
    public const int MaxOpenWrites = 1024;

    public static int SectionCount(long blockBytes, long sectionBytes) => (int)((blockBytes + sectionBytes - 1) / sectionBytes);

    /// <summary>Whether a block may be written in sections of that size.</summary>
    public static bool IsValid(long blockBytes, long sectionBytes) =>
        sectionBytes >= 1 && sectionBytes <= blockBytes && blockBytes <= Limits.MaxBlockBytes && (blockBytes + sectionBytes - 1) / sectionBytes <= MaxSections;
}
