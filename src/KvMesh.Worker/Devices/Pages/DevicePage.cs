using System.Runtime.InteropServices;
using KvMesh.Engine.Retention;
using KvMesh.Protocol.Sequences;

namespace KvMesh.Worker.Devices.Pages;

/// <summary>A full block that a pool keeps under its hash. Everything is under the pool's lock.</summary>
internal sealed class DevicePage : Retained<DevicePage>
{
    private readonly List<DevicePage> _children = [];

    public DevicePage(in BlockHash hash, int index, DevicePage? parent)
    {
        Hash = hash;
        Index = index;
        Parent = parent;
        parent?._children.Add(this);
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

    public override DevicePage? Parent { get; }

    public bool HasChildren => _children.Count > 0;

    /// <summary>Sequences and copies that read it now.</summary>
    public int Users { get; set; }

    /// <summary>Nobody finds it any more; another page may have its hash.</summary>
    public bool IsForgotten { get; set; }

    protected override IEnumerable<DevicePage> ChildBlocks => _children.AsEnumerable().Reverse();

    /// <summary>It leaves; nothing follows it.</summary>
    public void Leave() => Parent?._children.Remove(this);
}
