using KvMesh.Protocol;

namespace KvMesh.Engine.Disk;

/// <summary>Arithmetic of the 4,096 bytes that direct I/O counts in.</summary>
internal static class Granules
{
    public static long RoundUp(long bytes) => (bytes + Limits.GranuleBytes - 1) & -Limits.GranuleBytes;

    public static bool IsAligned(long bytes) => bytes % Limits.GranuleBytes == 0;
}
