using KvMesh.Engine.Retention;

namespace KvMesh.Engine.Tests.Retention;

/// <summary>A block that is nothing but its place in a chain.</summary>
internal sealed class ChainBlock(ulong id, ChainBlock? parent = null) : LinkedBlock<ChainBlock>(parent)
{
    public ulong Id { get; } = id;

    public override ulong Fingerprint => (Id + 1) * 0x9E37_79B9_7F4A_7C15;

    public bool IsPinned { get; set; }
}
