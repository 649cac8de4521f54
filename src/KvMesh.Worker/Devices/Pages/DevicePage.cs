using System.Runtime.InteropServices;
using KvMesh.Engine.Retention;
using KvMesh.Protocol.Sequences;

namespace KvMesh.Worker.Devices.Pages;

/// <summary>A full block that a pool keeps under its hash. Everything is under the pool's lock.</summary>
internal sealed class DevicePage : LinkedBlock<DevicePage>
{
    public DevicePage(in BlockHash hash, int index, DevicePage? parent)
        : base(parent)
    {
        Hash = hash;
        Index = index;
    }

    public BlockHash Hash { get; }

    /// <summary>Which page of the pool's buffer it is.</summary>
    public int Index { get; }

    public override ulong Fingerprint
    {
        get
        {
            var hash = Hash;
            return MemoryMarshal.Read<ulong>(hash);
        }
    }

    /// <summary>Sequences and copies that read it now.</summary>
    public int Users { get; set; }

    /// <summary>Nobody finds it any more; another page may have its hash.</summary>
    public bool IsForgotten { get; set; }
}
