namespace KvMesh.Engine.Disk;

/// <summary>
/// Where a record begins: the number of its segment, from 1, and the offset in that file. Numbers are never used twice, so a
/// location that outlives its segment finds nothing. The default value is no location.
/// </summary>
internal readonly record struct DiskLocation(int Segment, long Offset)
{
    public bool IsNone => Segment == 0;
}
