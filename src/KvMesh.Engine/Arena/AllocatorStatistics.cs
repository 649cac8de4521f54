namespace KvMesh.Engine.Arena;

/// <summary>State of one allocator.</summary>
/// <param name="CapacityBytes">Whole granules of the arena.</param>
/// <param name="AllocatedBytes">Granules handed out.</param>
/// <param name="RequestedBytes">What their owners asked for.</param>
/// <param name="LargestHoleBytes">Longest free run, to within 1/32.</param>
/// <param name="Holes">Free runs.</param>
/// <param name="Extents">Extents handed out.</param>
/// <param name="WarmBytes">The arena below the highest address ever handed out: its pages were touched before.</param>
internal readonly record struct AllocatorStatistics(
    long CapacityBytes, long AllocatedBytes, long RequestedBytes, long LargestHoleBytes, int Holes, int Extents, long WarmBytes)
{
    public long FreeBytes => CapacityBytes - AllocatedBytes;

    /// <summary>1 - largest hole / free bytes: 0 when all free bytes are one run.</summary>
    public double Fragmentation => FreeBytes == 0 ? 0 : 1 - ((double)LargestHoleBytes / FreeBytes);
}
