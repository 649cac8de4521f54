using System.Runtime.InteropServices;

namespace KvMesh.Protocol.Arena;

/// <summary>
/// First page of an arena file. Clients read it to find the descriptor table and the data area; a new node process reads
/// it to decide whether it may adopt the file.
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 8)]
public struct ArenaHeader
{
    /// <summary>"KVMARENA", little-endian.</summary>
    public const ulong ExpectedMagic = 0x414E_4552_414D_564B;

    /// <summary>Changes with every incompatible layout. A file of another version is emptied with a warning.</summary>
    public const uint CurrentVersion = 2;

    public ulong Magic;
    public uint Version;

    /// <summary>Process id of the node that owns the file, as that node sees it; 0 after a clean stop.</summary>
    public int OwnerProcessId;

    /// <summary>Counts the processes that have owned the file, from 1.</summary>
    public long Incarnation;

    /// <summary>Bytes of the data area.</summary>
    public long DataBytes;

    /// <summary>Offset of the data area from the start of the file.</summary>
    public long DataOffset;

    /// <summary>Slots in the descriptor table, which begins one granule into the file.</summary>
    public int DescriptorCount;

    /// <summary>No descriptor at or above this index was ever used.</summary>
    public int DescriptorHighWater;

    /// <summary>Unix milliseconds when the last residence lease handed out so far runs out.</summary>
    public long ResidenceLeasesUntil;

    /// <summary>Path of the data directory that the arena belongs to, in UTF-8, <see cref="DataDirectoryBytes"/> long.</summary>
    public const int DataDirectoryOffset = 256;

    public int DataDirectoryBytes;

    /// <summary>Unix milliseconds when the last existence lease on a block that only the disk had runs out. 0: there was none.</summary>
    public long DiskLeasesUntil;

    /// <summary>Number of the mount namespace of the owner, in which the path of the data directory means something; 0: not known.</summary>
    public ulong MountNamespace;
}
